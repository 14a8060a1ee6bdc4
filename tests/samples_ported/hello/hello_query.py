"""A workflow answers questions while it runs and when it is over."""

import asyncio

from dbosify import workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


@workflow.defn
class GreetingWorkflow:
    def __init__(self) -> None:
        self._greeting = ""

    @workflow.run
    async def run(self, name: str) -> None:
        self._greeting = f"Hello, {name}!"
        await workflow.sleep(1)
        self._greeting = f"Goodbye, {name}!"

    @workflow.query
    def greeting(self) -> str:
        return self._greeting


async def main() -> None:
    async with (
        await connect() as client,
        Worker(client, task_queue="hello-query", workflows=[GreetingWorkflow]),
    ):
        handle = await client.start_workflow(
            GreetingWorkflow.run, "World", id="hello-query", task_queue="hello-query"
        )
        print("First:", await handle.query(GreetingWorkflow.greeting))
        await handle.result()
        print("Second:", await handle.query(GreetingWorkflow.greeting))


if __name__ == "__main__":
    asyncio.run(main())
