"""Local activities: retries and timeouts, their place in history, and long ones."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.client import Client, WorkflowHandle
from dbosify.exceptions import ApplicationError, FailureError
from tests.ported_temporal.one_local_activity import (
    LocalOrder,
    OneLocalActivityWorkflow,
    data_of,
    described,
    markers_of,
    start,
)
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    assert_eventually,
    event_types_of,
    events_of,
    new_worker,
    random_id,
)
from tests.waiting import PATIENCE

TASK = ["WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_COMPLETED"]
STARTED, MARKER = "WORKFLOW_EXECUTION_STARTED", "MARKER_RECORDED"
COMPLETED = "WORKFLOW_EXECUTION_COMPLETED"


@dataclass
class Story:
    """What activities say of themselves outside any workflow."""

    attempts: list[int] = field(default_factory=list)
    running: int = 0
    most: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)


async def ran(
    client: Client,
    order: LocalOrder,
    *activities: Callable[..., Any],
    **options: Any,
) -> tuple[WorkflowHandle[Any, Any], Any]:
    """Run an order to its end; give the run's handle and its result."""
    async with new_worker(
        client, OneLocalActivityWorkflow, activities=activities
    ) as worker:
        handle = await client.start_workflow(
            OneLocalActivityWorkflow.run,
            order,
            id=random_id(),
            task_queue=worker.task_queue,
            **options,
        )
        return handle, await handle.result()


@activity.defn
async def succeed_third() -> int:
    attempt = activity.info().attempt
    if attempt < 3:
        raise ApplicationError(f"boom {attempt}")
    return attempt


async def test_retries_within_the_task_leave_one_marker(client: Client) -> None:
    handle, result = await ran(client, LocalOrder("succeed_third"), succeed_third)
    assert result == 3
    assert await event_types_of(handle) == [STARTED, *TASK, MARKER, COMPLETED]
    (marker,) = await markers_of(handle)
    assert marker.marker_name == "core_local_activity"
    said = data_of(marker)
    assert (said["seq"], said["attempt"], said["activity_id"]) == (1, 3, "1")
    assert (said["activity_type"], said["backoff"]) == ("succeed_third", None)
    assert said["activation_index"] == 1


async def test_a_backoff_over_the_threshold_is_a_timer(client: Client) -> None:
    order = LocalOrder("succeed_third", initial=0.2, threshold=0.3)
    handle, result = await ran(client, order, succeed_third)
    assert result == 3
    kinds = [STARTED, *TASK, MARKER, "TIMER_STARTED", "TIMER_FIRED", *TASK]
    assert await event_types_of(handle) == [*kinds, MARKER, COMPLETED]
    first, second = [data_of(marker) for marker in await markers_of(handle)]
    assert (first["attempt"], second["attempt"]) == (2, 3)
    assert first["backoff"] == {"seconds": 0, "nanos": 400_000_000}
    assert first["original_schedule_time"] == second["original_schedule_time"]


@activity.defn
async def fail_for_good() -> None:
    raise ApplicationError("nope", type="Nope", non_retryable=True)


async def test_a_failure_is_not_wrapped(client: Client) -> None:
    handle, result = await ran(client, LocalOrder("fail_for_good"), fail_for_good)
    assert result == "ApplicationError: nope"
    (marker,) = await markers_of(handle)
    assert marker.failure.application_failure_info.type == "Nope"


@activity.defn
async def never_end() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "order",
    [
        LocalOrder("never_end", start_to_close=0.2, attempts=2),
        LocalOrder("never_end", start_to_close=None, schedule_to_close=0.2),
    ],
    ids=["start to close", "schedule to close"],
)
async def test_time_runs_out(client: Client, order: LocalOrder) -> None:
    handle, result = await ran(client, order, never_end)
    assert result == "TimeoutError: Activity timed out"
    (marker,) = await markers_of(handle)
    assert marker.failure.message == "Activity timed out"
    assert marker.failure.HasField("timeout_failure_info")
    assert data_of(marker)["attempt"] == (order.attempts or 1)


@activity.defn
async def tell_info() -> dict[str, Any]:
    info = activity.info()
    activity.heartbeat("nobody listens")
    return {
        "local": info.is_local,
        "queue": info.task_queue,
        "type": info.workflow_type,
        "heartbeat": info.heartbeat_timeout,
        "to_close": info.schedule_to_close_timeout,
        "attempt": info.attempt,
        "id": info.activity_id,
    }


async def test_an_activity_knows_that_it_is_local(client: Client) -> None:
    _, told = await ran(client, LocalOrder("tell_info", start_to_close=5), tell_info)
    assert told.pop("queue").startswith("queue-")
    assert told == {
        "local": True,
        "type": "OneLocalActivityWorkflow",
        "heartbeat": None,
        "to_close": None,
        "attempt": 1,
        "id": "1",
    }


async def test_a_summary_stands_at_the_marker(client: Client) -> None:
    order = LocalOrder("tell_info", summary="who are you")
    handle, _ = await ran(client, order, tell_info)
    (marker,) = [
        event
        for event in await events_of(handle)
        if event.HasField("marker_recorded_event_attributes")
    ]
    assert marker.user_metadata.summary.data == b'"who are you"'


@workflow.defn
class ManyLocalWorkflow:
    @workflow.run
    async def run(self, count: int) -> list[int]:
        orders = [LocalOrder("take_part", [number]) for number in range(count)]
        results: list[int] = await asyncio.gather(*map(start, orders))
        return results


@pytest.mark.parametrize("slots", [1, 3, 10])
async def test_slots_limit_how_many_run_at_once(client: Client, slots: int) -> None:
    story = Story()

    @activity.defn
    async def take_part(number: int) -> int:
        story.running += 1
        story.most = max(story.most, story.running)
        await asyncio.sleep(0.02)
        story.running -= 1
        return number

    async with new_worker(
        client,
        ManyLocalWorkflow,
        activities=[take_part],
        max_concurrent_local_activities=slots,
    ) as worker:
        handle = await client.start_workflow(
            ManyLocalWorkflow.run, 6, id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.result() == list(range(6))
    assert story.most == min(slots, 6)
    markers = await markers_of(handle)
    indexes = [data_of(marker)["activation_index"] for marker in markers]
    assert indexes == sorted(indexes)
    assert await event_types_of(handle) == [STARTED, *TASK, *[MARKER] * 6, COMPLETED]


@workflow.defn
class CrowdedLocalWorkflow:
    @workflow.run
    async def run(self) -> str:
        first = start(LocalOrder("linger", [0.6]))
        second = start(LocalOrder("linger", [0.0], schedule_to_start=0.2))
        await first
        try:
            return str(await second)
        except FailureError as error:
            return described(error)


@activity.defn
async def linger(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


async def test_a_wait_for_a_slot_may_take_too_long(client: Client) -> None:
    async with new_worker(
        client,
        CrowdedLocalWorkflow,
        activities=[linger],
        max_concurrent_local_activities=1,
    ) as worker:
        result = await client.execute_workflow(
            CrowdedLocalWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
    assert result == "TimeoutError: Activity timed out"


@workflow.defn
class ClockWorkflow:
    @workflow.run
    async def run(self) -> float:
        began = workflow.time()
        await start(LocalOrder("linger", [0.3]))
        return workflow.time() - began


async def test_the_workflows_clock_moves_on_by_the_time_it_ran(client: Client) -> None:
    async with new_worker(client, ClockWorkflow, activities=[linger]) as worker:
        spent = await client.execute_workflow(
            ClockWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
    # It slept by the monotonic clock, which need not go quite as fast as the other.
    assert 0.29 < spent < 5


@workflow.defn
class LongLocalWorkflow:
    """Waits for a local activity that takes longer than a workflow task may."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        self.seen.append(await start(LocalOrder("take_long")))
        return self.seen

    @workflow.signal
    def note(self, word: str) -> None:
        self.seen.append(word)

    @workflow.query
    def notes(self) -> list[str]:
        return self.seen


@dataclass
class Long:
    """A run whose local activity waits for leave to end."""

    handle: WorkflowHandle[Any, list[str]]
    story: Story


async def with_long(
    client: Client,
    tell: Callable[[Long], Awaitable[None]],
    *,
    task_timeout: float = 1,
    **options: Any,
) -> tuple[WorkflowHandle[Any, list[str]], Story]:
    """Start it, tell its story, let the activity end, and wait for the run."""
    story = Story()

    @activity.defn
    async def take_long() -> str:
        story.attempts.append(activity.info().attempt)
        story.begun.set()
        await story.go.wait()
        return "done"

    async with new_worker(
        client, LongLocalWorkflow, activities=[take_long], **options
    ) as worker:
        handle = await client.start_workflow(
            LongLocalWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            task_timeout=timedelta(seconds=task_timeout),
        )
        await tell(Long(handle, story))
        story.go.set()
        await asyncio.wait_for(handle.result(), PATIENCE)
    return handle, story


async def _until_tasks(long: Long, number: int) -> None:
    async def done() -> None:
        assert (await event_types_of(long.handle)).count(TASK[-1]) >= number

    await assert_eventually(done)


async def _until_noted(long: Long, *words: str) -> None:
    async def notes() -> list[str]:
        return await long.handle.query(LongLocalWorkflow.notes)

    await assert_eq_eventually(list(words), notes)


async def test_a_long_one_takes_several_tasks(client: Client) -> None:
    async def beat_twice(long: Long) -> None:
        await _until_tasks(long, 2)

    handle, story = await with_long(client, beat_twice)
    assert story.attempts == [1]
    types = await event_types_of(handle)
    tasks = types.count(TASK[-1])
    assert tasks >= 3
    assert types == [STARTED, *TASK * tasks, MARKER, COMPLETED]
    (marker,) = await markers_of(handle)
    assert data_of(marker)["activation_index"] == 0


async def test_what_happens_meanwhile_is_seen_by_the_next_task(client: Client) -> None:
    async def signal(long: Long) -> None:
        await long.handle.signal(LongLocalWorkflow.note, "hello")
        await _until_noted(long, "hello")

    handle, story = await with_long(client, signal)
    assert story.attempts == [1]
    assert await handle.result() == ["hello", "done"]


async def test_a_query_is_answered_meanwhile(client: Client) -> None:
    async def ask(long: Long) -> None:
        await long.story.begun.wait()
        assert await long.handle.query(LongLocalWorkflow.notes) == []

    handle, story = await with_long(client, ask, task_timeout=10)
    assert story.attempts == [1]
    assert await handle.result() == ["done"]


async def test_a_run_that_is_not_cached_runs_each_once(client: Client) -> None:
    async def beat(long: Long) -> None:
        await _until_tasks(long, 1)
        await long.handle.signal(LongLocalWorkflow.note, "hello")
        await _until_noted(long, "hello")

    _, story = await with_long(client, beat, max_cached_workflows=0)
    assert story.attempts == [1]


async def test_a_worker_that_stops_waits_for_it(client: Client) -> None:
    story = Story()

    @activity.defn
    async def take_long() -> str:
        story.begun.set()
        await asyncio.sleep(0.5)
        return "done"

    async with new_worker(client, LongLocalWorkflow, activities=[take_long]) as worker:
        handle = await client.start_workflow(
            LongLocalWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await story.begun.wait()
    assert await handle.result() == ["done"]
    assert await event_types_of(handle) == [STARTED, *TASK, MARKER, COMPLETED]


ABANDON, TRY, WAIT = 2, 0, 1


@workflow.defn
class CancelledLocalWorkflow:
    """Cancels a local activity once another is over, or at once."""

    @workflow.run
    async def run(self, order: LocalOrder, at_once: bool) -> str:
        handle = start(order)
        if not at_once:
            await start(LocalOrder("until_it_runs"))
        await asyncio.sleep(0)
        handle.cancel()
        try:
            return str(await handle)
        except FailureError as error:
            return described(error)


@dataclass
class Cancelled:
    """A run whose local activity was cancelled."""

    result: str
    told: bool
    markers: list[dict[str, Any]]


async def cancelled(
    client: Client, kind: int, *, at_once: bool = False, answer: str = ""
) -> Cancelled:
    """Cancel one; it answers with a value, or gives in."""
    story = Story()

    @activity.defn
    async def hear_of_it() -> str:
        story.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            story.go.set()
            if answer:
                return answer
            raise
        return "never"

    @activity.defn
    async def until_it_runs() -> None:
        await story.begun.wait()

    async with new_worker(
        client, CancelledLocalWorkflow, activities=[hear_of_it, until_it_runs]
    ) as worker:
        handle = await client.start_workflow(
            CancelledLocalWorkflow.run,
            args=[LocalOrder("hear_of_it", cancellation=kind), at_once],
            id=random_id(),
            task_queue=worker.task_queue,
        )
        result = await handle.result()
        if story.begun.is_set():
            await asyncio.wait_for(story.go.wait(), PATIENCE)
    markers = [data_of(marker) for marker in await markers_of(handle)]
    return Cancelled(result, story.go.is_set(), markers)


@pytest.mark.parametrize("kind", [TRY, ABANDON])
async def test_a_cancelled_one_is_not_waited_for(client: Client, kind: int) -> None:
    seen = await cancelled(client, kind, answer="too late")
    assert seen.result == "CancelledError: Activity cancelled"
    assert seen.told
    assert [marker["attempt"] for marker in seen.markers] == [1, 0]
    assert seen.markers[1]["complete_time"] is None


@pytest.mark.parametrize(
    ("answer", "result"), [("", "CancelledError: Cancelled"), ("yes", "yes")]
)
async def test_a_cancelled_one_may_be_waited_for(
    client: Client, answer: str, result: str
) -> None:
    seen = await cancelled(client, WAIT, answer=answer)
    assert seen.result == result
    assert [marker["attempt"] for marker in seen.markers] == [1, 1]


@pytest.mark.parametrize("kind", [TRY, ABANDON, WAIT])
async def test_one_that_is_cancelled_at_once_never_begins(
    client: Client, kind: int
) -> None:
    seen = await cancelled(client, kind, at_once=True)
    assert seen.result.startswith("CancelledError: ")
    assert not seen.told


@workflow.defn
class FailingTaskWorkflow:
    @workflow.run
    async def run(self) -> str:
        result: str = await start(LocalOrder("count"))
        if result == "1":
            raise RuntimeError("the task fails after the activity")
        return result


async def test_a_failed_task_runs_them_again(client: Client) -> None:
    story = Story()

    @activity.defn
    async def count() -> str:
        story.attempts.append(activity.info().attempt)
        return str(len(story.attempts))

    async with new_worker(client, FailingTaskWorkflow, activities=[count]) as worker:
        handle = await client.start_workflow(
            FailingTaskWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.result() == "2"
    assert len(await markers_of(handle)) == 1
