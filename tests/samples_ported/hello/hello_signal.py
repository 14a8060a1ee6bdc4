"""A workflow takes in what it is sent until it is told to end."""

import asyncio

from dbosify import workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


@workflow.defn
class GreetingWorkflow:
    def __init__(self) -> None:
        self._names: asyncio.Queue[str] = asyncio.Queue()
        self._exit = False

    @workflow.run
    async def run(self) -> list[str]:
        greetings: list[str] = []
        while True:
            await workflow.wait_condition(lambda: not self._names.empty() or self._exit)
            while not self._names.empty():
                greetings.append(f"Hello, {self._names.get_nowait()}")
            if self._exit:
                return greetings

    @workflow.signal
    async def submit(self, name: str) -> None:
        await self._names.put(name)

    @workflow.signal
    def exit(self) -> None:
        self._exit = True


async def main() -> None:
    async with (
        await connect() as client,
        Worker(client, task_queue="hello-signal", workflows=[GreetingWorkflow]),
    ):
        handle = await client.start_workflow(
            GreetingWorkflow.run, id="hello-signal", task_queue="hello-signal"
        )
        await handle.signal(GreetingWorkflow.submit, "user1")
        await handle.signal(GreetingWorkflow.submit, "user2")
        before = (await handle.describe()).status
        await handle.signal(GreetingWorkflow.exit)
        print(await handle.result())
        after = (await handle.describe()).status
    print(*(status.name for status in (before, after) if status))


if __name__ == "__main__":
    asyncio.run(main())
