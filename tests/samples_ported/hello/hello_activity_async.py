"""A workflow calls an activity that is a coroutine."""

import asyncio
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


@activity.defn
async def compose_greeting(name: str) -> str:
    await asyncio.sleep(0)
    return f"Hello, {name}!"


@workflow.defn
class GreetingWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(
            compose_greeting, name, start_to_close_timeout=timedelta(seconds=10)
        )


async def main() -> None:
    async with (
        await connect() as client,
        Worker(
            client,
            task_queue="hello-activity-async",
            workflows=[GreetingWorkflow],
            activities=[compose_greeting],
        ),
    ):
        result = await client.execute_workflow(
            GreetingWorkflow.run,
            "World",
            id="hello-activity-async",
            task_queue="hello-activity-async",
        )
    print(f"Result: {result}")


if __name__ == "__main__":
    asyncio.run(main())
