"""Long waits: the activity fails, and its retries are the poll."""

import asyncio
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.common import RetryPolicy
from dbosify.exceptions import ApplicationError, ApplicationErrorCategory
from dbosify.worker import Worker
from tests.samples_ported.connection import connect
from tests.samples_ported.polling.service import NotReadyError, Service

INTERVAL = timedelta(milliseconds=100)
"""A minute, say, where the service is a real one."""


class Activities:
    def __init__(self, service: Service) -> None:
        self._service = service

    @activity.defn
    async def poll_once(self) -> str:
        try:
            return await self._service.result()
        except NotReadyError as error:
            raise ApplicationError(
                str(error), category=ApplicationErrorCategory.BENIGN
            ) from error


@workflow.defn
class InfrequentWorkflow:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity_method(
            Activities.poll_once,
            start_to_close_timeout=timedelta(seconds=2),
            retry_policy=RetryPolicy(
                initial_interval=INTERVAL, backoff_coefficient=1.0
            ),
        )


async def main() -> None:
    activities = Activities(Service())
    async with (
        await connect() as client,
        Worker(
            client,
            task_queue="polling-infrequent",
            workflows=[InfrequentWorkflow],
            activities=[activities.poll_once],
        ),
    ):
        result = await client.execute_workflow(
            InfrequentWorkflow.run,
            id="polling-infrequent",
            task_queue="polling-infrequent",
        )
    print(result)


if __name__ == "__main__":
    asyncio.run(main())
