"""A client changes a workflow's state and hears what came of it."""

import asyncio

from dbosify import workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


@workflow.defn
class GreetingWorkflow:
    def __init__(self) -> None:
        self._complete = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self._complete)
        return "Hello, World!"

    @workflow.update
    async def complete(self) -> str:
        self._complete = True
        return "Workflow status updated"


async def main() -> None:
    async with (
        await connect() as client,
        Worker(client, task_queue="hello-update", workflows=[GreetingWorkflow]),
    ):
        handle = await client.start_workflow(
            GreetingWorkflow.run, id="hello-update", task_queue="hello-update"
        )
        before = (await handle.describe()).status
        print(await handle.execute_update(GreetingWorkflow.complete))
        print(await handle.result())
        after = (await handle.describe()).status
    print(*(status.name for status in (before, after) if status))


if __name__ == "__main__":
    asyncio.run(main())
