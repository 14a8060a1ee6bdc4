"""An activity is completed from outside, by whoever has its token."""

import asyncio
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


class Activities:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._tasks: set[asyncio.Task[None]] = set()

    @activity.defn
    async def compose_greeting(self, name: str) -> str:
        completing = self._complete_later(activity.info().task_token, name)
        task = asyncio.create_task(completing)
        # The loop keeps no task alive; this set does.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        activity.raise_complete_async()

    async def _complete_later(self, token: bytes, name: str) -> None:
        handle = self._client.get_async_activity_handle(task_token=token)
        for _ in range(3):
            await handle.heartbeat()
            await asyncio.sleep(0.05)
        await handle.complete(f"Hello, {name}, from outside!")


@workflow.defn
class GreetingWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity_method(
            Activities.compose_greeting,
            name,
            start_to_close_timeout=timedelta(seconds=10),
            heartbeat_timeout=timedelta(seconds=2),
        )


async def main() -> None:
    async with await connect() as client:
        activities = Activities(client)
        async with Worker(
            client,
            task_queue="hello-async-completion",
            workflows=[GreetingWorkflow],
            activities=[activities.compose_greeting],
        ):
            result = await client.execute_workflow(
                GreetingWorkflow.run,
                "World",
                id="hello-async-completion",
                task_queue="hello-async-completion",
            )
    print(f"Result: {result}")


if __name__ == "__main__":
    asyncio.run(main())
