"""Starts one process for workflows and two for activities; waits for all of them."""

import asyncio
import multiprocessing
import signal
import sys

from dbosify.worker import PollerBehaviorSimpleMaximum, Worker
from tests.samples_ported.connection import connect
from tests.samples_ported.worker_multiprocessing.work import (
    ACTIVITY_QUEUE,
    WORKFLOW_QUEUE,
    ParallelWorkflow,
    who,
)


async def serve(workflows: bool) -> None:
    """Serve one of the queues until the process is told to end."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with await connect() as client:
        worker = (
            Worker(
                client,
                task_queue=WORKFLOW_QUEUE,
                workflows=[ParallelWorkflow],
                workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(2),
                max_concurrent_workflow_tasks=2,
            )
            if workflows
            else Worker(
                client,
                task_queue=ACTIVITY_QUEUE,
                activities=[who],
                activity_task_poller_behavior=PollerBehaviorSimpleMaximum(2),
                max_concurrent_activities=1,
            )
        )
        async with worker:
            await stop.wait()


def serve_in_process(workflows: bool) -> None:
    asyncio.run(serve(workflows))


def main() -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(target=serve_in_process, args=(workflows,))
        for workflows in (True, False, False)
    ]

    def stop_all(*_: object) -> None:
        for process in processes:
            process.terminate()

    signal.signal(signal.SIGTERM, stop_all)
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(max(process.exitcode or 0 for process in processes))


if __name__ == "__main__":
    main()
