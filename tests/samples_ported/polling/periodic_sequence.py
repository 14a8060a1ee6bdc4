"""A child polls in a loop, and continues as new before its history gets long."""

import asyncio
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.common import RetryPolicy
from dbosify.exceptions import ActivityError
from dbosify.worker import Worker
from tests.samples_ported.connection import connect
from tests.samples_ported.polling.service import Service

ATTEMPTS_OF_A_RUN = 3


class Activities:
    def __init__(self, service: Service) -> None:
        self._service = service

    @activity.defn
    async def poll_once(self) -> str:
        return await self._service.result()


@workflow.defn
class PollingWorkflow:
    @workflow.run
    async def run(self) -> str:
        for _ in range(ATTEMPTS_OF_A_RUN):
            try:
                return await workflow.execute_activity_method(
                    Activities.poll_once,
                    start_to_close_timeout=timedelta(seconds=2),
                    retry_policy=RetryPolicy(maximum_attempts=1),
                )
            except ActivityError:
                await workflow.sleep(timedelta(milliseconds=20))
        workflow.continue_as_new()
        raise AssertionError("another run goes on")


@workflow.defn
class PeriodicWorkflow:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_child_workflow(
            PollingWorkflow.run, id=f"{workflow.info().workflow_id}-child"
        )


async def main() -> None:
    activities = Activities(Service())
    async with (
        await connect() as client,
        Worker(
            client,
            task_queue="polling-periodic",
            workflows=[PeriodicWorkflow, PollingWorkflow],
            activities=[activities.poll_once],
        ),
    ):
        result = await client.execute_workflow(
            PeriodicWorkflow.run,
            id="polling-periodic",
            task_queue="polling-periodic",
        )
    print(result)


if __name__ == "__main__":
    asyncio.run(main())
