"""A decorator lets activities beat by themselves; a signal cancels one of them."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import ParamSpec, TypeVar

from dbosify import activity, workflow
from dbosify.common import RetryPolicy
from dbosify.worker import Worker
from tests.samples_ported.connection import connect

P = ParamSpec("P")
T = TypeVar("T")


def auto_heartbeat(fn: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Beat twice in each heartbeat timeout while the activity runs."""

    @functools.wraps(fn)
    async def beating(*args: P.args, **kwargs: P.kwargs) -> T:
        timeout = activity.info().heartbeat_timeout
        assert timeout is not None
        task = asyncio.create_task(beat_every(timeout / 2))
        try:
            return await fn(*args, **kwargs)
        finally:
            task.cancel()
            await asyncio.wait([task])

    return beating


async def beat_every(delay: timedelta) -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(delay.total_seconds())


@activity.defn
@auto_heartbeat
async def wait_for_cancel() -> str:
    try:
        await asyncio.Future()
    except asyncio.CancelledError:
        return "activity cancelled!"
    raise AssertionError("nobody completes the future")


@workflow.defn
class WaitForCancelWorkflow:
    def __init__(self) -> None:
        self._activity: workflow.ActivityHandle[str] | None = None

    @workflow.run
    async def run(self) -> str:
        self._activity = workflow.start_activity(
            wait_for_cancel,
            start_to_close_timeout=timedelta(hours=20),
            heartbeat_timeout=timedelta(milliseconds=300),
            retry_policy=RetryPolicy(maximum_attempts=1),
            cancellation_type=(
                workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
            ),
        )
        return await self._activity

    @workflow.signal
    def cancel_activity(self) -> None:
        assert self._activity is not None
        self._activity.cancel()


async def main() -> None:
    async with (
        await connect() as client,
        Worker(
            client,
            task_queue="custom-decorator",
            workflows=[WaitForCancelWorkflow],
            activities=[wait_for_cancel],
        ),
    ):
        handle = await client.start_workflow(
            WaitForCancelWorkflow.run,
            id="custom-decorator",
            task_queue="custom-decorator",
        )
        # Longer than the heartbeat timeout: without beats it would be over by then.
        await asyncio.sleep(0.8)
        await handle.signal(WaitForCancelWorkflow.cancel_activity)
        print("Result:", await handle.result())


if __name__ == "__main__":
    asyncio.run(main())
