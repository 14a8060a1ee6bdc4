"""Counts the processes that took part."""

import asyncio

from tests.samples_ported.connection import connect
from tests.samples_ported.worker_multiprocessing.work import (
    WORKFLOW_QUEUE,
    ParallelWorkflow,
)


async def main() -> None:
    async with await connect() as client:
        pids = await client.execute_workflow(
            ParallelWorkflow.run, 8, id="multiprocessing", task_queue=WORKFLOW_QUEUE
        )
    print("Processes:", len(set(pids)))


if __name__ == "__main__":
    asyncio.run(main())
