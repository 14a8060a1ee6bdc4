"""A workflow goes on for long without a long history: it continues as a new run."""

import asyncio
from datetime import timedelta

from dbosify import workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect

LAST = 4


@workflow.defn
class LoopingWorkflow:
    @workflow.run
    async def run(self, iteration: int) -> int:
        if iteration < LAST:
            await workflow.sleep(timedelta(milliseconds=10))
            workflow.continue_as_new(iteration + 1)
        return iteration


async def main() -> None:
    async with (
        await connect() as client,
        Worker(client, task_queue="hello-continue-as-new", workflows=[LoopingWorkflow]),
    ):
        result = await client.execute_workflow(
            LoopingWorkflow.run,
            1,
            id="hello-continue-as-new",
            task_queue="hello-continue-as-new",
        )
    print(f"Ended in run {result}")


if __name__ == "__main__":
    asyncio.run(main())
