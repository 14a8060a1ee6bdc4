"""Short waits: one activity asks again and again, and beats meanwhile."""

import asyncio
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect
from tests.samples_ported.polling.service import NotReadyError, Service


@activity.defn
async def poll() -> str:
    service = Service()
    while True:
        try:
            return await service.result()
        except NotReadyError:
            activity.heartbeat()
            await asyncio.sleep(0.05)


@workflow.defn
class FrequentWorkflow:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            poll,
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=2),
        )


async def main() -> None:
    async with (
        await connect() as client,
        Worker(
            client,
            task_queue="polling-frequent",
            workflows=[FrequentWorkflow],
            activities=[poll],
        ),
    ):
        result = await client.execute_workflow(
            FrequentWorkflow.run,
            id="polling-frequent",
            task_queue="polling-frequent",
        )
    print(result)


if __name__ == "__main__":
    asyncio.run(main())
