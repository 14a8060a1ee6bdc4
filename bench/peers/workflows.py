"""The benchmark's workflows, as a Temporal user writes them.

They import `temporalio`, not `dbosify`, because the very same objects then run on both:
no peer gets a version of its own. The module stays small since the sandbox imports it
again for every run.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    import asyncio

    from bench.peers.activities import echo_activity

_ACTIVITY_TIMEOUT = timedelta(minutes=1)


@workflow.defn
class Noop:
    """Starts and ends."""

    @workflow.run
    async def run(self, size: int) -> int:
        """Give the size back."""
        return size


@workflow.defn
class Sequence:
    """Activities one after the other."""

    @workflow.run
    async def run(self, size: int) -> int:
        """Run as many activities as the size says."""
        for index in range(size):
            await workflow.execute_activity(
                echo_activity, index, start_to_close_timeout=_ACTIVITY_TIMEOUT
            )
        return size


@workflow.defn
class Parallel:
    """Activities all at once."""

    @workflow.run
    async def run(self, size: int) -> int:
        """Run as many activities as the size says."""
        await asyncio.gather(
            *(
                workflow.execute_activity(
                    echo_activity, index, start_to_close_timeout=_ACTIVITY_TIMEOUT
                )
                for index in range(size)
            )
        )
        return size


@workflow.defn
class Waiting:
    """Activities one after the other, then a wait for the signal."""

    def __init__(self) -> None:
        """Start with nothing done and no leave to go."""
        self._done = 0
        self._released = False

    @workflow.run
    async def run(self, size: int) -> int:
        """Run the activities, then wait."""
        for index in range(size):
            await workflow.execute_activity(
                echo_activity, index, start_to_close_timeout=_ACTIVITY_TIMEOUT
            )
            self._done += 1
        await workflow.wait_condition(lambda: self._released)
        return self._done

    @workflow.signal
    def release(self) -> None:
        """Let the run end."""
        self._released = True

    @workflow.query
    def done(self) -> int:
        """Count the activities done so far."""
        return self._done
