"""A workflow lets another workflow do a part of it."""

import asyncio
from dataclasses import dataclass

from dbosify import workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


@dataclass
class Greeting:
    greeting: str
    name: str


@workflow.defn
class ComposeWorkflow:
    @workflow.run
    async def run(self, wanted: Greeting) -> str:
        return f"{wanted.greeting}, {wanted.name}!"


@workflow.defn
class GreetingWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_child_workflow(
            ComposeWorkflow.run,
            Greeting("Hello", name),
            id="hello-child-workflow-child",
        )


async def main() -> None:
    async with (
        await connect() as client,
        Worker(
            client,
            task_queue="hello-child-workflow",
            workflows=[GreetingWorkflow, ComposeWorkflow],
        ),
    ):
        result = await client.execute_workflow(
            GreetingWorkflow.run,
            "World",
            id="hello-child-workflow",
            task_queue="hello-child-workflow",
        )
    print(f"Result: {result}")


if __name__ == "__main__":
    asyncio.run(main())
