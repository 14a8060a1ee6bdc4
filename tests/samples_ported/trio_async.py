"""Activities may use Trio: its event loop runs the process, asyncio within it."""

from datetime import timedelta

import trio
import trio_asyncio

from dbosify import activity, workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect

TASK_QUEUE = "trio"
TEN_SECONDS = timedelta(seconds=10)


@activity.defn
async def greet_from_asyncio(name: str) -> str:
    async def wait() -> None:
        await trio.sleep(0.01)

    await trio_asyncio.trio_as_aio(wait)()
    return f"Hello, {name}! (from asyncio)"


@activity.defn
def greet_from_thread(name: str) -> str:
    # The executor's threads are Trio's, so that they can reach its loop.
    trio.from_thread.run(trio.sleep, 0.01)
    return f"Hello, {name}! (from thread)"


@workflow.defn(sandboxed=False)
class GreetingsWorkflow:
    @workflow.run
    async def run(self, name: str) -> list[str]:
        return [
            await workflow.execute_activity(
                greet, name, start_to_close_timeout=TEN_SECONDS
            )
            for greet in (greet_from_asyncio, greet_from_thread)
        ]


async def greet() -> list[str]:
    async with (
        await connect() as client,
        Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[GreetingsWorkflow],
            activities=[greet_from_asyncio, greet_from_thread],
            activity_executor=trio_asyncio.TrioExecutor(max_workers=20),
            workflow_task_executor=trio_asyncio.TrioExecutor(max_workers=20),
        ),
    ):
        return await client.execute_workflow(
            GreetingsWorkflow.run, "some-user", id="trio", task_queue=TASK_QUEUE
        )


if __name__ == "__main__":
    found = trio_asyncio.run(trio_asyncio.aio_as_trio(greet))
    print(*found, sep="\n")
