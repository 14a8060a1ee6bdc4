"""What the cancellation of an activity leads to, from each state it can be in."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from dbosify import activity
from dbosify.api.enums.v1 import PendingActivityState, RetryState
from dbosify.client import Client, WorkflowHandle
from dbosify.worker import Worker
from tests.ported_temporal.activity_history import (
    Story,
    pending,
    start_order,
    story_after_end,
)
from tests.ported_temporal.contract import payloads
from tests.ported_temporal.one_activity import OneActivityWorkflow, Order, Retries
from tests.ported_temporal.scaffold import (
    event_types_of,
    events_of,
    new_worker,
    random_id,
)

SCHEDULED = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
CANCEL_REQUESTED = PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED

BEAT = 0.05
"""Seconds between heartbeats, whose answers tell of a cancellation."""


async def beat_until_cancelled() -> None:
    """Return when the activity is asked to end."""
    try:
        while True:
            activity.heartbeat()
            await asyncio.sleep(BEAT)
    except asyncio.CancelledError:
        return


@activity.defn
async def give_in() -> None:
    await beat_until_cancelled()
    raise asyncio.CancelledError


@activity.defn
async def complete_all_the_same() -> str:
    await beat_until_cancelled()
    return "done all the same"


@activity.defn
async def fail_then() -> None:
    await beat_until_cancelled()
    raise RuntimeError("no way")


@activity.defn
async def fail_at_once() -> None:
    raise RuntimeError("oh no")


@activity.defn
async def never_end() -> None:
    await asyncio.Event().wait()


ACTIVITIES: list[Callable[..., Any]] = [
    give_in,
    complete_all_the_same,
    fail_then,
    fail_at_once,
    never_end,
]


def worker_of_all(client: Client) -> Worker:
    """A worker on which an activity soon hears of its cancellation."""
    return new_worker(
        client,
        OneActivityWorkflow,
        activities=ACTIVITIES,
        identity="a worker",
        default_heartbeat_throttle_interval=timedelta(seconds=BEAT),
        max_heartbeat_throttle_interval=timedelta(seconds=BEAT),
    )


async def cancel_when(handle: WorkflowHandle[Any, Any], **state: Any) -> None:
    """Let the workflow cancel its activity once that is in this state."""
    await pending(handle, **state)
    await handle.signal(OneActivityWorkflow.cancel_activity)


async def cancelled_while_started(
    client: Client, order: Order
) -> tuple[WorkflowHandle[Any, Any], Story]:
    """Run an activity, cancel it once it has started, and wait for its end."""
    async with worker_of_all(client) as worker:
        handle = await start_order(client, worker, order)
        await cancel_when(handle, state=STARTED)
        return handle, await story_after_end(handle)


async def assert_cancelled_unstarted(handle: WorkflowHandle[Any, Any]) -> None:
    """It was cancelled at once, and the workflow was told."""
    assert await handle.result() == ["cancelled", "ACTIVITY_ID_NOT_STARTED"]
    story = await story_after_end(handle)
    assert story.names == ["scheduled", "cancel_requested", "canceled"]
    requested, canceled = story["cancel_requested"], story["canceled"]
    assert requested.scheduled_event_id == story.ids["scheduled"]
    assert canceled.scheduled_event_id == story.ids["scheduled"]
    assert canceled.latest_cancel_requested_event_id == story.ids["cancel_requested"]
    assert canceled.started_event_id == 0
    assert canceled.details == payloads("ACTIVITY_ID_NOT_STARTED")
    # That worker's answer brought the cancellation along.
    assert canceled.identity == "a worker"


async def test_an_activity_that_nobody_took_is_cancelled_at_once(
    client: Client,
) -> None:
    async with worker_of_all(client) as worker:
        handle = await start_order(
            client,
            worker,
            Order("anything", task_queue=random_id("nobody"), start_to_close=30),
        )
        await cancel_when(handle, state=SCHEDULED)
        await assert_cancelled_unstarted(handle)
    types = await event_types_of(handle)
    at = types.index("ACTIVITY_TASK_CANCEL_REQUESTED")
    assert types[at - 1 : at + 3] == [
        "WORKFLOW_TASK_COMPLETED",
        "ACTIVITY_TASK_CANCEL_REQUESTED",
        "ACTIVITY_TASK_CANCELED",
        "WORKFLOW_TASK_SCHEDULED",
    ]


async def test_an_activity_that_waits_for_its_next_attempt_is_cancelled_at_once(
    client: Client,
) -> None:
    async with worker_of_all(client) as worker:
        handle = await start_order(
            client,
            worker,
            Order("fail_at_once", start_to_close=30, retries=Retries(initial=60)),
        )
        await cancel_when(handle, state=SCHEDULED, attempt=2)
        await assert_cancelled_unstarted(handle)


async def test_a_started_activity_is_asked_to_end(client: Client) -> None:
    async with worker_of_all(client) as worker:
        handle = await start_order(
            client, worker, Order("never_end", start_to_close=30)
        )
        await cancel_when(handle, state=STARTED)
        await pending(handle, state=CANCEL_REQUESTED)
        events = await events_of(handle)
        await handle.terminate()
    story = Story(events)
    assert story.names == ["scheduled", "cancel_requested"]
    requested = story["cancel_requested"]
    assert requested.scheduled_event_id == story.ids["scheduled"]
    asked_by = events[requested.workflow_task_completed_event_id - 1]
    assert asked_by.HasField("workflow_task_completed_event_attributes")


async def test_a_started_activity_may_confirm_its_cancellation(client: Client) -> None:
    handle, story = await cancelled_while_started(
        client, Order("give_in", start_to_close=30)
    )
    assert await handle.result() == ["cancelled"]
    assert story.names == ["scheduled", "cancel_requested", "started", "canceled"]
    canceled = story["canceled"]
    assert canceled.scheduled_event_id == story.ids["scheduled"]
    assert canceled.started_event_id == story.ids["started"]
    assert canceled.latest_cancel_requested_event_id == story.ids["cancel_requested"]
    assert canceled.identity == "a worker"


async def test_a_started_activity_may_complete_all_the_same(client: Client) -> None:
    handle, story = await cancelled_while_started(
        client, Order("complete_all_the_same", start_to_close=30)
    )
    assert await handle.result() == "done all the same"
    assert story.names == ["scheduled", "cancel_requested", "started", "completed"]


async def test_a_cancelled_activity_that_fails_is_not_tried_again(
    client: Client,
) -> None:
    _, story = await cancelled_while_started(
        client, Order("fail_then", start_to_close=30)
    )
    assert story.names == ["scheduled", "cancel_requested", "started", "failed"]
    assert story["started"].attempt == 1
    failed = story["failed"]
    assert failed.retry_state == RetryState.RETRY_STATE_CANCEL_REQUESTED
    assert failed.failure.message == "no way"


async def test_a_cancelled_activity_that_runs_out_of_time_is_not_tried_again(
    client: Client,
) -> None:
    _, story = await cancelled_while_started(
        client, Order("never_end", start_to_close=1)
    )
    assert story.names == ["scheduled", "cancel_requested", "started", "timed_out"]
    event = story["timed_out"]
    assert event.retry_state == RetryState.RETRY_STATE_CANCEL_REQUESTED
    assert event.failure.message == "activity StartToClose timeout"
