"""An activity fails three times; the fourth attempt gets through."""

import asyncio
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.common import RetryPolicy
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


@activity.defn
async def compose_greeting(name: str) -> str:
    attempt = activity.info().attempt
    if attempt < 4:
        raise RuntimeError(f"attempt {attempt} fails on purpose")
    return f"Hello, {name}, at attempt {attempt}!"


@workflow.defn
class GreetingWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(
            compose_greeting,
            name,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(milliseconds=10),
                maximum_interval=timedelta(seconds=2),
            ),
        )


async def main() -> None:
    async with (
        await connect() as client,
        Worker(
            client,
            task_queue="hello-activity-retry",
            workflows=[GreetingWorkflow],
            activities=[compose_greeting],
        ),
    ):
        result = await client.execute_workflow(
            GreetingWorkflow.run,
            "World",
            id="hello-activity-retry",
            task_queue="hello-activity-retry",
        )
    print(f"Result: {result}")


if __name__ == "__main__":
    asyncio.run(main())
