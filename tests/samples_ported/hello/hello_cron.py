"""A workflow that is started again and again by a cron schedule."""

import asyncio

from dbosify import workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


@workflow.defn
class TickWorkflow:
    @workflow.run
    async def run(self) -> str:
        return "tick"


async def main() -> None:
    async with (
        await connect() as client,
        Worker(client, task_queue="hello-cron", workflows=[TickWorkflow]),
    ):
        handle = await client.start_workflow(
            TickWorkflow.run,
            id="hello-cron",
            task_queue="hello-cron",
            cron_schedule="@every 1s",
        )
        first = handle.first_execution_run_id
        while (await handle.describe()).run_id == first:
            await asyncio.sleep(0.1)
        later = await handle.describe()
        await handle.terminate()
    started = later.raw_info.first_run_id == first
    print("A later run of the same chain:", started)


if __name__ == "__main__":
    asyncio.run(main())
