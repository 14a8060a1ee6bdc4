"""A program that breaks off while its worker works: run by test_abandoned.py."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.worker import UnsandboxedWorkflowRunner, Worker

begun = asyncio.Event()


@activity.defn
async def never_ends() -> None:
    """Wait until it is cancelled."""
    begun.set()
    await asyncio.Event().wait()


@workflow.defn
class Waiting:
    """Waits for an activity, of which kind it is told."""

    @workflow.run
    async def run(self, kind: str) -> None:
        """Wait for ever."""
        if kind == "activity":
            await workflow.execute_activity(
                never_ends, start_to_close_timeout=timedelta(minutes=1)
            )
        elif kind == "local activity":
            await workflow.execute_local_activity(
                never_ends, start_to_close_timeout=timedelta(minutes=1)
            )
        await workflow.wait_condition(lambda: False)

    @workflow.query
    def ready(self) -> bool:
        """Whether the first task is done."""
        return True


async def main(url: str, kind: str) -> None:
    """Leave with an error while a worker of this loop has an open run."""
    client = await Client.connect(url)
    worker = Worker(
        client,
        task_queue="abandoned",
        workflows=[Waiting],
        activities=[never_ends],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    working = asyncio.create_task(worker.run())
    handle = await client.start_workflow(
        Waiting.run, kind, id="abandoned", task_queue="abandoned"
    )
    if kind == "nothing":
        await handle.query(Waiting.ready)
    else:
        await begun.wait()
    raise SystemExit(f"left with {kind}, {working.done()=}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
