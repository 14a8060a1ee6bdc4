"""What a client sees of an error deep inside: the whole chain, with stack traces."""

import asyncio
from datetime import timedelta
from typing import NoReturn

from dbosify import activity, workflow
from dbosify.client import WorkflowFailureError
from dbosify.common import RetryPolicy
from dbosify.exceptions import FailureError
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


@activity.defn
async def compose_greeting(name: str) -> NoReturn:
    raise RuntimeError(f"Cannot greet {name}")


@workflow.defn
class GreetingWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(
            compose_greeting,
            name,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(milliseconds=10), maximum_attempts=2
            ),
        )


async def main() -> None:
    async with (
        await connect() as client,
        Worker(
            client,
            task_queue="hello-exception",
            workflows=[GreetingWorkflow],
            activities=[compose_greeting],
        ),
    ):
        try:
            await client.execute_workflow(
                GreetingWorkflow.run,
                "World",
                id="hello-exception",
                task_queue="hello-exception",
            )
        except WorkflowFailureError as failure:
            show(failure)


def show(error: BaseException | None) -> None:
    """Print an error, those behind it, and where each of them was raised."""
    while error is not None:
        print(f"{type(error).__name__}: {error}")
        if isinstance(error, FailureError) and error.failure:
            raised_in_activity = "in compose_greeting" in error.failure.stack_trace
            print("  raised in the activity:", raised_in_activity)
        error = error.__cause__


if __name__ == "__main__":
    asyncio.run(main())
