"""The code of a workflow changes while a run of it is under way."""

import asyncio
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.client import Client, WorkflowHandle
from dbosify.exceptions import WorkflowAlreadyStartedError
from dbosify.worker import Worker
from tests.samples_ported.connection import connect

PATCH = "my-patch-v2"
TASK_QUEUE = "hello-patch"


@activity.defn
async def compose(greeting: str) -> str:
    return f"{greeting}, World!"


async def greet(greeting: str) -> str:
    """Let the activity compose a greeting."""
    return await workflow.execute_activity(
        compose, greeting, start_to_close_timeout=timedelta(seconds=10)
    )


@workflow.defn(name="patched-greeting")
class FirstVersion:
    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(0.5)
        return await greet("Hello")


@workflow.defn(name="patched-greeting")
class SecondVersion:
    """Greets twice, but not in runs that began with the first version."""

    @workflow.run
    async def run(self) -> str:
        twice = workflow.patched(PATCH)
        await workflow.sleep(0.5)
        first = await greet("Hello")
        return f"{first} {await greet('Goodbye')}" if twice else first


@workflow.defn(name="patched-greeting")
class ThirdVersion:
    """No run of the first version is left."""

    @workflow.run
    async def run(self) -> str:
        workflow.deprecate_patch(PATCH)
        await workflow.sleep(0.5)
        return f"{await greet('Hello')} {await greet('Goodbye')}"


async def start(client: Client) -> WorkflowHandle[object, str]:
    """Start a run, or find the one that is there."""
    try:
        return await client.start_workflow(
            "patched-greeting",
            id="hello-patch",
            task_queue=TASK_QUEUE,
            result_type=str,
        )
    except WorkflowAlreadyStartedError:
        return client.get_workflow_handle("hello-patch", result_type=str)


def worker(client: Client, version: type) -> Worker:
    """A worker with one version of the code, which keeps no run in memory."""
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[version],
        activities=[compose],
        max_cached_workflows=0,
    )


async def main() -> None:
    async with await connect() as client:
        async with worker(client, FirstVersion):
            old = await start(client)
            while len((await old.fetch_history()).events) < 5:
                await asyncio.sleep(0.02)
        async with worker(client, SecondVersion):
            again = await start(client)
            print("Old run:", await again.result())
            new = await start(client)
            while len((await new.fetch_history()).events) < 5:
                await asyncio.sleep(0.02)
        async with worker(client, ThirdVersion):
            print("New run:", await new.result())


if __name__ == "__main__":
    asyncio.run(main())
