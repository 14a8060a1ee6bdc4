"""What the server makes of an activity's options, and what it tells while it runs."""

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dbosify import activity
from dbosify.api.common.v1 import RetryPolicy
from dbosify.api.enums.v1 import PendingActivityState, TaskQueueKind
from dbosify.api.workflow.v1 import PendingActivityInfo
from dbosify.client import Client
from tests.ported_temporal.activity_history import (
    close_to,
    moment,
    pending,
    scheduled,
    start_order,
    story_after_end,
)
from tests.ported_temporal.contract import duration, payloads
from tests.ported_temporal.one_activity import OneActivityWorkflow, Order, Retries
from tests.ported_temporal.scaffold import new_worker, random_id

STATE = PendingActivityState

NOBODY = "a queue without a worker"

TIMEOUTS = (
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "start_to_close_timeout",
    "heartbeat_timeout",
)


def seconds(number: float) -> Any:
    """The protobuf form of so many seconds."""
    return duration(timedelta(seconds=number))


@pytest.mark.parametrize(
    ("given", "run_timeout", "expected"),
    [
        ({"schedule_to_close": 7}, None, (7, 7, 7, 0)),
        (
            {"schedule_to_close": 7, "schedule_to_start": 3, "start_to_close": 2},
            None,
            (7, 3, 2, 0),
        ),
        (
            {"schedule_to_close": 7, "schedule_to_start": 8, "start_to_close": 9},
            None,
            (7, 7, 7, 0),
        ),
        ({"start_to_close": 2}, None, (0, 0, 2, 0)),
        ({"start_to_close": 2, "schedule_to_start": 3}, None, (0, 3, 2, 0)),
        ({"start_to_close": 2}, 60, (60, 60, 2, 0)),
        ({"start_to_close": 2, "schedule_to_start": 3}, 60, (60, 3, 2, 0)),
        ({"start_to_close": 90}, 60, (60, 60, 60, 0)),
        ({"schedule_to_close": 7}, 60, (7, 7, 7, 0)),
        (
            {"schedule_to_close": 100, "schedule_to_start": 90, "start_to_close": 80},
            60,
            (60, 60, 60, 0),
        ),
        ({"start_to_close": 2, "heartbeat": 1}, None, (0, 0, 2, 1)),
        ({"start_to_close": 2, "heartbeat": 5}, None, (0, 0, 2, 2)),
        ({"schedule_to_close": 7, "heartbeat": 9}, None, (7, 7, 7, 7)),
    ],
    ids=str,
)
async def test_timeouts_are_completed_and_capped_when_an_activity_is_scheduled(
    client: Client,
    given: dict[str, Any],
    run_timeout: int | None,
    expected: tuple[int, int, int, int],
) -> None:
    async with new_worker(client, OneActivityWorkflow) as worker:
        handle = await start_order(
            client,
            worker,
            Order("untouched", task_queue=random_id(NOBODY), **given),
            run_timeout=timedelta(seconds=run_timeout) if run_timeout else None,
        )
        event = (await scheduled(handle))["scheduled"]
        await handle.terminate()
    assert all(event.HasField(name) for name in TIMEOUTS)
    assert [getattr(event, name) for name in TIMEOUTS] == [*map(seconds, expected)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, (1, 2, 100, 0)),
        (Retries(initial=3), (3, 2, 300, 0)),
        (Retries(initial=3, coefficient=1.5, maximum=4), (3, 1.5, 4, 0)),
        (Retries(attempts=5), (1, 2, 100, 5)),
        (Retries(attempts=1), (1, 2, 100, 1)),
    ],
    ids=["none", "initial", "maximum", "attempts", "one attempt"],
)
async def test_an_activity_always_has_a_whole_retry_policy(
    client: Client,
    given: Retries | None,
    expected: tuple[float, float, float, int],
) -> None:
    async with new_worker(client, OneActivityWorkflow) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "untouched",
                task_queue=random_id(NOBODY),
                start_to_close=1,
                retries=given,
            ),
        )
        event = (await scheduled(handle))["scheduled"]
        await handle.terminate()
    initial, coefficient, maximum, attempts = expected
    assert event.retry_policy == RetryPolicy(
        initial_interval=seconds(initial),
        backoff_coefficient=coefficient,
        maximum_interval=seconds(maximum),
        maximum_attempts=attempts,
    )


async def test_the_scheduled_event_tells_what_was_ordered(client: Client) -> None:
    queue = random_id(NOBODY)
    async with new_worker(client, OneActivityWorkflow) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "untouched",
                args=["an argument", 2],
                task_queue=queue,
                start_to_close=1,
                retries=Retries(never=["A", "B"]),
            ),
        )
        event = (await scheduled(handle))["scheduled"]
        await handle.terminate()
    assert event.activity_id == "1"
    assert event.activity_type.name == "untouched"
    assert event.task_queue.name == queue
    assert event.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    assert event.input == payloads("an argument", 2)
    assert event.workflow_task_completed_event_id == 4
    assert list(event.retry_policy.non_retryable_error_types) == ["A", "B"]


@activity.defn
async def echo(value: str) -> str:
    return value


async def test_a_completed_activity_leaves_its_start_and_its_result(
    client: Client,
) -> None:
    async with new_worker(client, OneActivityWorkflow, activities=[echo]) as worker:
        handle = await start_order(
            client, worker, Order("echo", args=["a value"], start_to_close=5)
        )
        story = await story_after_end(handle)
    assert story.names == ["scheduled", "started", "completed"]
    assert list(story.ids.values()) == [5, 6, 7]
    started, completed = story["started"], story["completed"]
    assert started.scheduled_event_id == 5
    assert started.attempt == 1
    assert started.identity
    assert started.request_id
    assert not started.HasField("last_failure")
    assert completed.scheduled_event_id == 5
    assert completed.started_event_id == 6
    assert completed.result == payloads("a value")
    assert completed.identity == started.identity


async def test_each_attempt_is_told_what_it_has_to_keep_to(client: Client) -> None:
    infos: list[activity.Info] = []

    @activity.defn
    async def fail_once() -> None:
        infos.append(activity.info())
        activity.heartbeat("half")
        if activity.info().attempt == 1:
            raise RuntimeError("oh no")

    async with new_worker(
        client, OneActivityWorkflow, activities=[fail_once]
    ) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "fail_once",
                schedule_to_close=60,
                heartbeat=90,
                retries=Retries(initial=0.1, never=["A"]),
            ),
        )
        await handle.result()
    first, second = infos
    for attempt, info in enumerate(infos, 1):
        assert info.attempt == attempt
        assert info.activity_id == "1"
        assert info.schedule_to_close_timeout == timedelta(seconds=60)
        assert info.start_to_close_timeout == timedelta(seconds=60)
        assert info.heartbeat_timeout == timedelta(seconds=60)
        policy = info.retry_policy
        assert policy is not None
        assert policy.maximum_interval == timedelta(seconds=10)
        assert list(policy.non_retryable_error_types or ()) == ["A"]
    assert first.task_token != second.task_token
    assert (first.heartbeat_details, second.heartbeat_details) == ([], ["half"])
    assert first.scheduled_time == second.scheduled_time
    assert first.current_attempt_scheduled_time == first.scheduled_time
    waited = second.current_attempt_scheduled_time - first.started_time
    assert waited >= timedelta(seconds=0.1)
    assert second.started_time >= second.current_attempt_scheduled_time


async def test_an_activity_that_nobody_took_is_pending(client: Client) -> None:
    queue = random_id(NOBODY)
    async with new_worker(client, OneActivityWorkflow) as worker:
        before = datetime.now(timezone.utc)
        handle = await start_order(
            client,
            worker,
            Order("untouched", task_queue=queue, start_to_close=1, heartbeat=1),
        )
        info = await pending(handle, state=STATE.PENDING_ACTIVITY_STATE_SCHEDULED)
        await handle.terminate()
    assert info.activity_id == "1"
    assert info.activity_type.name == "untouched"
    assert info.attempt == 1
    assert info.maximum_attempts == 0
    assert abs(moment(info.scheduled_time) - before) < timedelta(seconds=5)
    assert not told_optionally(info)
    options = info.activity_options
    assert options.task_queue.name == queue
    assert options.start_to_close_timeout == seconds(1)
    assert options.schedule_to_close_timeout == seconds(0)
    assert options.schedule_to_start_timeout == seconds(0)
    assert options.heartbeat_timeout == seconds(1)
    assert options.retry_policy == RetryPolicy(
        initial_interval=seconds(1),
        backoff_coefficient=2,
        maximum_interval=seconds(100),
    )


def told_optionally(info: PendingActivityInfo) -> set[str]:
    """What describe tells only of some activities, and does tell of this one."""
    return {
        name
        for name in (
            "current_retry_interval",
            "expiration_time",
            "heartbeat_details",
            "last_attempt_complete_time",
            "last_failure",
            "last_heartbeat_time",
            "last_started_time",
            "next_attempt_schedule_time",
        )
        if info.HasField(name)
    }


async def test_a_pending_activity_expires_if_it_has_a_deadline(client: Client) -> None:
    async with new_worker(client, OneActivityWorkflow) as worker:
        handle = await start_order(
            client,
            worker,
            Order("untouched", task_queue=random_id(NOBODY), schedule_to_close=7),
        )
        info = await pending(handle)
        await handle.terminate()
    assert told_optionally(info) == {"expiration_time"}
    assert moment(info.expiration_time) - moment(info.scheduled_time) == timedelta(
        seconds=7
    )


async def test_a_pending_activity_tells_of_its_worker_and_its_heartbeat(
    client: Client,
) -> None:
    @activity.defn
    async def beat() -> None:
        activity.heartbeat("half", 2)
        await asyncio.Event().wait()

    async with new_worker(
        client, OneActivityWorkflow, activities=[beat], identity="a worker"
    ) as worker:
        handle = await start_order(
            client,
            worker,
            Order("beat", start_to_close=30, retries=Retries(attempts=3)),
        )
        info = await pending(
            handle,
            state=STATE.PENDING_ACTIVITY_STATE_STARTED,
            heartbeat_details=payloads("half", 2),
        )
        await handle.terminate()
    assert info.attempt == 1
    assert info.maximum_attempts == 3
    assert info.last_worker_identity == "a worker"
    assert told_optionally(info) == {
        "heartbeat_details",
        "last_heartbeat_time",
        "last_started_time",
    }
    assert (
        moment(info.scheduled_time)
        <= moment(info.last_started_time)
        <= moment(info.last_heartbeat_time)
    )


async def test_a_pending_activity_tells_when_it_will_be_tried_again(
    client: Client,
) -> None:
    @activity.defn
    async def beat_and_fail() -> None:
        activity.heartbeat("half")
        raise RuntimeError("oh no")

    async with new_worker(
        client, OneActivityWorkflow, activities=[beat_and_fail], identity="a worker"
    ) as worker:
        handle = await start_order(
            client,
            worker,
            Order("beat_and_fail", start_to_close=30, retries=Retries(initial=60)),
        )
        info = await pending(handle, attempt=2)
        await handle.terminate()
    assert info.state == STATE.PENDING_ACTIVITY_STATE_SCHEDULED
    assert info.last_worker_identity == "a worker"
    assert info.last_failure.message == "oh no"
    assert info.last_failure.application_failure_info.type == "RuntimeError"
    assert info.heartbeat_details == payloads("half")
    assert told_optionally(info) == {
        "current_retry_interval",
        "heartbeat_details",
        "last_attempt_complete_time",
        "last_failure",
        "last_heartbeat_time",
        "next_attempt_schedule_time",
    }
    assert close_to(info.current_retry_interval.ToTimedelta(), 60)
    next_time = moment(info.next_attempt_schedule_time)
    assert moment(info.scheduled_time) == next_time
    assert close_to(next_time - moment(info.last_attempt_complete_time), 60)


async def test_an_activity_that_ended_is_no_longer_pending(client: Client) -> None:
    async with new_worker(client, OneActivityWorkflow, activities=[echo]) as worker:
        handle = await start_order(
            client, worker, Order("echo", args=["a value"], start_to_close=5)
        )
        await handle.result()
    description = await handle.describe()
    assert not description.raw_description.pending_activities


async def test_a_terminated_run_still_tells_what_it_was_waiting_for(
    client: Client,
) -> None:
    async with new_worker(client, OneActivityWorkflow) as worker:
        handle = await start_order(
            client,
            worker,
            Order("untouched", task_queue=random_id(NOBODY), start_to_close=1),
        )
        await pending(handle)
        await handle.terminate()
    await pending(handle, state=STATE.PENDING_ACTIVITY_STATE_SCHEDULED)
