"""A workflow is cancelled, its activity hears of it, and what is left is cleaned up."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import NoReturn

from dbosify import activity, workflow
from dbosify.client import WorkflowFailureError
from dbosify.exceptions import CancelledError
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


@activity.defn
def never_complete() -> NoReturn:
    try:
        while True:
            activity.heartbeat()
            time.sleep(0.05)
    except CancelledError:
        print("Activity cancelled")
        raise


@activity.defn
def clean_up() -> None:
    print("Cleaned up")


@workflow.defn
class CancellationWorkflow:
    @workflow.run
    async def run(self) -> None:
        try:
            await workflow.execute_activity(
                never_complete,
                start_to_close_timeout=timedelta(seconds=60),
                heartbeat_timeout=timedelta(seconds=2),
                cancellation_type=(
                    workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
                ),
            )
        finally:
            await workflow.execute_activity(
                clean_up, start_to_close_timeout=timedelta(seconds=5)
            )


async def main() -> None:
    async with await connect() as client:
        with ThreadPoolExecutor(5) as threads:
            async with Worker(
                client,
                task_queue="hello-cancellation",
                workflows=[CancellationWorkflow],
                activities=[never_complete, clean_up],
                activity_executor=threads,
                max_heartbeat_throttle_interval=timedelta(milliseconds=100),
                default_heartbeat_throttle_interval=timedelta(milliseconds=100),
            ):
                handle = await client.start_workflow(
                    CancellationWorkflow.run,
                    id="hello-cancellation",
                    task_queue="hello-cancellation",
                )
                while not (await handle.describe()).raw_description.pending_activities:
                    await asyncio.sleep(0.05)
                await handle.cancel()
                try:
                    await handle.result()
                except WorkflowFailureError as failure:
                    print("Cause:", type(failure.cause).__name__)
                status = (await handle.describe()).status
    print("Status:", status.name if status else None)


if __name__ == "__main__":
    asyncio.run(main())
