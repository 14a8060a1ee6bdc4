"""An activity runs in a process of its own, and its heartbeats come through."""

import asyncio
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.worker import SharedStateManager, Worker
from tests.samples_ported.connection import connect


@activity.defn
def which_process() -> int:
    for beat in range(3):
        activity.heartbeat(beat)
        time.sleep(0.05)
    return os.getpid()


@workflow.defn
class OtherProcessWorkflow:
    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_activity(
            which_process,
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=timedelta(seconds=10),
        )


async def main() -> None:
    spawn = multiprocessing.get_context("spawn")
    async with await connect() as client:
        with spawn.Manager() as manager, ProcessPoolExecutor(1, spawn) as processes:
            async with Worker(
                client,
                task_queue="hello-activity-multiprocess",
                workflows=[OtherProcessWorkflow],
                activities=[which_process],
                activity_executor=processes,
                shared_state_manager=SharedStateManager.create_from_multiprocessing(
                    manager
                ),
            ):
                result = await client.execute_workflow(
                    OtherProcessWorkflow.run,
                    id="hello-activity-multiprocess",
                    task_queue="hello-activity-multiprocess",
                )
    print("In another process:", result != os.getpid())


if __name__ == "__main__":
    asyncio.run(main())
