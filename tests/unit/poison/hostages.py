"""Workflows that do what they should not; the sandbox loads only this file."""

import asyncio
import time
from datetime import timedelta

from dbosify import activity, workflow


@workflow.defn
class Raises:
    """Has an error in its code."""

    @workflow.run
    async def run(self) -> None:
        """Never gets anywhere."""
        raise KeyError("a mistake in the code")


@workflow.defn(sandboxed=False)
class Blocks:
    """Keeps its worker's thread for longer than a task may take."""

    @workflow.run
    async def run(self) -> None:
        """Never yields within the deadline."""
        time.sleep(3)  # noqa: ASYNC251


@workflow.defn
class Takes:
    """Takes a number."""

    @workflow.run
    async def run(self, number: int) -> int:
        """The number."""
        return number


@activity.defn
async def never_stops() -> None:
    """Does not care that nobody wants it any more."""
    never = asyncio.get_running_loop().create_future()
    while True:
        try:
            activity.heartbeat()
            await asyncio.wait({never}, timeout=0.1)
        except asyncio.CancelledError:
            if activity.is_worker_shutdown():
                raise


@workflow.defn
class LosesPatience:
    """Cancels an activity that will not hear of it."""

    @workflow.run
    async def run(self) -> str:
        """What it does instead of waiting."""
        stubborn = workflow.start_activity(
            never_stops,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(minutes=1),
            cancellation_type=workflow.ActivityCancellationType.TRY_CANCEL,
        )
        await workflow.sleep(0.1)
        stubborn.cancel()
        return "went on"
