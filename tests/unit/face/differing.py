"""The workflows with which differences from Temporal show, and a worker that dies."""

import asyncio
import sys
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.common import RetryPolicy
from dbosify.exceptions import ActivityError, FailureError
from dbosify.worker import UnsandboxedWorkflowRunner, Worker
from dbosify.workflow import ActivityCancellationType

MINUTE = timedelta(minutes=1)

TRIES: dict[str, int] = {}
"""How often each run's first task was begun in this process; needs no sandbox."""

GATES: dict[str, asyncio.Event] = {}
"""What the activities of each workflow wait for."""


@workflow.defn
class Chain:
    """A chain of runs that do nothing else."""

    @workflow.run
    async def run(self, links: int) -> None:
        """Ends after so many more runs."""
        if links:
            workflow.continue_as_new(links - 1)


@workflow.defn
class Naps:
    """Sleeps briefly, several times."""

    @workflow.run
    async def run(self, naps: int) -> None:
        """Ends after so many naps."""
        for _ in range(naps):
            await workflow.sleep(0.02)


@workflow.defn
class Wordy:
    """Returns more than a service takes."""

    @workflow.run
    async def run(self) -> str:
        """Three MiB."""
        return "x" * 3 * 1024 * 1024


@activity.defn
async def length(text: str) -> int:
    """Of the text."""
    return len(text)


@workflow.defn
class Generous:
    """Says much at once, in pieces that are not too big."""

    @workflow.run
    async def run(self, pieces: int) -> int:
        """The length of all that was said."""
        said = (
            workflow.execute_activity(
                length, "x" * 1024 * 1024, start_to_close_timeout=MINUTE
            )
            for _ in range(pieces)
        )
        return sum(await asyncio.gather(*said))


@workflow.defn
class Clumsy:
    """Has a bug that goes away."""

    @workflow.run
    async def run(self, failures: int) -> int:
        """The number of tries it took."""
        run_id = workflow.info().run_id
        TRIES[run_id] = TRIES.get(run_id, 0) + 1
        if TRIES[run_id] <= failures:
            raise RuntimeError("a bug")
        return TRIES[run_id]


@activity.defn
async def hang_at_first() -> int:
    """Comes to an end only at the second attempt."""
    attempt = activity.info().attempt
    if attempt == 1:
        await asyncio.Event().wait()
    return attempt


@workflow.defn
class Calls:
    """Depends on an activity."""

    @workflow.run
    async def run(self, attempts: int, task_queue: str) -> int:
        """The attempt that it took."""
        return await workflow.execute_activity(
            hang_at_first,
            task_queue=task_queue,
            start_to_close_timeout=MINUTE,
            retry_policy=RetryPolicy(maximum_attempts=attempts),
        )


@activity.defn
async def gated(number: int) -> int:
    """Fails once its gate is open, but for number zero."""
    if number:
        await GATES[activity.info().workflow_id or ""].wait()
        raise ValueError("too late for anybody to hear it")
    return number


@workflow.defn
class Abandons:
    """Gives an activity up, and outlives it."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._said: set[str] = set()

    @workflow.run
    async def run(self) -> str:
        """Comes to this end if nothing is in the way."""
        handle = workflow.start_activity(
            gated,
            1,
            start_to_close_timeout=MINUTE,
            retry_policy=RetryPolicy(maximum_attempts=1),
            cancellation_type=ActivityCancellationType.ABANDON,
        )
        await workflow.wait_condition(lambda: "abandon" in self._said)
        handle.cancel()
        try:
            await handle
        except ActivityError:
            self._said.add("abandoned")
        await workflow.wait_condition(lambda: "end" in self._said)
        return "outlived it"

    @workflow.signal
    def say(self, word: str) -> None:
        """What to do next."""
        self._said.add(word)

    @workflow.query
    def has_abandoned(self) -> bool:
        """Whether it heard of the cancellation."""
        return "abandoned" in self._said


@workflow.defn
class Patient:
    """Waits for a signal."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._told = False

    @workflow.run
    async def run(self) -> str:
        """Comes to this end when it was told."""
        await workflow.wait_condition(lambda: self._told)
        return "was told"

    @workflow.signal
    def tell(self) -> None:
        """Ends the wait."""
        self._told = True

    @workflow.query
    def waits(self) -> bool:
        """Whether it still waits."""
        return not self._told


@workflow.defn
class Fan:
    """Schedules many activities in one workflow task."""

    @workflow.run
    async def run(self, width: int) -> int:
        """How many came back."""
        calls = [
            workflow.execute_activity(gated, 0, start_to_close_timeout=MINUTE)
            for _ in range(width)
        ]
        return len(await asyncio.gather(*calls))


@activity.defn
async def hang() -> None:
    """Never ends."""
    await asyncio.Event().wait()


@workflow.defn
class Hurries:
    """Has no patience with a local activity."""

    @workflow.run
    async def run(self) -> str:
        """The error that it got, as it looks when the run is rebuilt."""
        try:
            await workflow.execute_local_activity(
                hang,
                start_to_close_timeout=timedelta(milliseconds=50),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        except FailureError as error:
            seen = type(error).__name__
        await workflow.sleep(0.02)
        return seen


WORKFLOWS = (
    Abandons,
    Calls,
    Chain,
    Clumsy,
    Fan,
    Generous,
    Hurries,
    Naps,
    Patient,
    Wordy,
)


def worker_of(
    client: Client,
    task_queue: str,
    *,
    identity: str = "",
    max_cached_workflows: int = 1000,
    disable_payload_error_limit: bool = False,
) -> Worker:
    """A worker of all of them; without the sandbox, so that they can count."""
    return Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=[gated, hang, hang_at_first, length],
        workflow_runner=UnsandboxedWorkflowRunner(),
        build_id="face",
        identity=identity or None,
        max_cached_workflows=max_cached_workflows,
        disable_payload_error_limit=disable_payload_error_limit,
    )


async def serve(address: str, task_queue: str) -> None:
    """Be the worker that dies."""
    client = await Client.connect(address)
    await worker_of(client, task_queue, identity="the dead one").run()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
