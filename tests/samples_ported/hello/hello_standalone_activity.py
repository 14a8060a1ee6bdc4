"""Activities that a client starts itself, without a workflow around them."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from dbosify import activity
from dbosify.worker import Worker
from tests.samples_ported.connection import connect

TASK_QUEUE = "hello-standalone-activity"
TEN_SECONDS = timedelta(seconds=10)


@dataclass
class Greeting:
    greeting: str
    name: str


@activity.defn
async def compose_greeting(wanted: Greeting) -> str:
    return f"{wanted.greeting}, {wanted.name}!"


async def main() -> None:
    async with (
        await connect() as client,
        Worker(client, task_queue=TASK_QUEUE, activities=[compose_greeting]),
    ):
        result = await client.execute_activity(
            compose_greeting,
            Greeting("Hello", "World"),
            id="hello-standalone-1",
            task_queue=TASK_QUEUE,
            start_to_close_timeout=TEN_SECONDS,
        )
        print("Result:", result)
        handle = await client.start_activity(
            compose_greeting,
            Greeting("Hello", "again"),
            id="hello-standalone-2",
            task_queue=TASK_QUEUE,
            start_to_close_timeout=TEN_SECONDS,
        )
        print("Result:", await handle.result())
        query = f'TaskQueue = "{TASK_QUEUE}"'
        # A server's index is behind by a moment.
        while (await client.count_activities(query)).count < 2:
            await asyncio.sleep(0.1)
        listed = [each.activity_id async for each in client.list_activities(query)]
        print("Listed:", *sorted(listed))


if __name__ == "__main__":
    asyncio.run(main())
