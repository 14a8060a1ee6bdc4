"""How an activity ends whose time is up: the event, and the failure's every word."""

import asyncio
from typing import Any

import pytest

from dbosify import activity
from dbosify.api.enums.v1 import RetryState, TimeoutType
from dbosify.api.failure.v1 import Failure, TimeoutFailureInfo
from dbosify.client import Client, WorkflowFailureError
from dbosify.exceptions import ActivityError
from dbosify.exceptions import RetryState as SdkRetryState
from tests.ported_temporal.activity_history import (
    Story,
    pending,
    start_order,
    story_after_end,
)
from tests.ported_temporal.contract import payloads
from tests.ported_temporal.one_activity import OneActivityWorkflow, Order, Retries
from tests.ported_temporal.scaffold import new_worker, random_id

START_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
SCHEDULE_TO_START = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
SCHEDULE_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
HEARTBEAT = TimeoutType.TIMEOUT_TYPE_HEARTBEAT

TIMEOUT = RetryState.RETRY_STATE_TIMEOUT
NO_ATTEMPTS_LEFT = RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED

NO_TIME_LEFT = (
    "Not enough time to schedule next retry before activity ScheduleToClose timeout, "
    "giving up retrying"
)

SOON = 0.2
"""Seconds that an attempt gets where it has to run out of time."""

FAST = 0.001
"""Seconds between attempts where the time between them doesn't matter."""


@activity.defn
async def beat_then_never_end(*details: str) -> None:
    if details:
        activity.heartbeat(*details)
    await asyncio.Event().wait()


@activity.defn
async def fail_then_never_end() -> None:
    if activity.info().attempt == 1:
        raise RuntimeError("first")
    await asyncio.Event().wait()


async def story_of_order(client: Client, order: Order, **options: Any) -> Story:
    """Run an activity to its end; give its part of the history."""
    async with new_worker(
        client,
        OneActivityWorkflow,
        activities=[beat_then_never_end, fail_then_never_end],
    ) as worker:
        handle = await start_order(client, worker, order, **options)
        return await story_after_end(handle)


def timed_out(
    message: str,
    timeout_type: "TimeoutType.ValueType",
    *,
    beats: tuple[str, ...] = (),
    cause: Failure | None = None,
) -> Failure:
    """The failure that the server makes of a timeout."""
    return Failure(
        message=message,
        source="Server",
        timeout_failure_info=TimeoutFailureInfo(
            timeout_type=timeout_type,
            last_heartbeat_details=payloads(*beats) if beats else None,
        ),
        cause=cause,
    )


async def test_an_attempt_takes_longer_than_start_to_close(client: Client) -> None:
    story = await story_of_order(
        client,
        Order("beat_then_never_end", start_to_close=SOON, retries=Retries(attempts=1)),
    )
    assert story.names == ["scheduled", "started", "timed_out"]
    event = story["timed_out"]
    assert event.scheduled_event_id == story.ids["scheduled"]
    assert event.started_event_id == story.ids["started"]
    assert event.retry_state == NO_ATTEMPTS_LEFT
    assert event.failure == timed_out("activity StartToClose timeout", START_TO_CLOSE)


async def test_a_timeout_tells_the_last_heartbeat(client: Client) -> None:
    story = await story_of_order(
        client,
        Order(
            "beat_then_never_end",
            args=["half", "way"],
            start_to_close=SOON,
            retries=Retries(attempts=1),
        ),
    )
    assert story["timed_out"].failure == timed_out(
        "activity StartToClose timeout", START_TO_CLOSE, beats=("half", "way")
    )


@pytest.mark.parametrize("beats", [(), ("half", "way")], ids=["never", "once"])
async def test_heartbeats_stop(client: Client, beats: tuple[str, ...]) -> None:
    story = await story_of_order(
        client,
        Order(
            "beat_then_never_end",
            args=beats,
            start_to_close=30,
            heartbeat=SOON,
            retries=Retries(attempts=1),
        ),
    )
    assert story.names == ["scheduled", "started", "timed_out"]
    event = story["timed_out"]
    assert event.retry_state == NO_ATTEMPTS_LEFT
    assert event.failure == timed_out(
        "activity Heartbeat timeout", HEARTBEAT, beats=beats
    )


@pytest.mark.parametrize(
    "timeouts",
    [
        {"schedule_to_start": SOON, "start_to_close": 30},
        {"schedule_to_start": SOON, "schedule_to_close": 30},
        # Its time to start is then as short as its time to close.
        {"schedule_to_close": SOON},
    ],
    ids=["schedule to start", "both", "schedule to close"],
)
async def test_nobody_takes_an_activity_in_time(
    client: Client, timeouts: dict[str, Any]
) -> None:
    story = await story_of_order(
        client, Order("anything", task_queue=random_id("nobody"), **timeouts)
    )
    assert story.names == ["scheduled", "timed_out"]
    event = story["timed_out"]
    assert event.scheduled_event_id == story.ids["scheduled"]
    assert event.started_event_id == 0
    assert event.retry_state == TIMEOUT
    assert event.failure == timed_out(
        "activity ScheduleToStart timeout", SCHEDULE_TO_START
    )


@pytest.mark.parametrize("attempts", [0, 1], ids=["any number of", "one"])
async def test_an_attempt_runs_when_schedule_to_close_is_over(
    client: Client, attempts: int
) -> None:
    story = await story_of_order(
        client,
        Order(
            "beat_then_never_end",
            args=["half"],
            schedule_to_close=SOON,
            retries=Retries(attempts=attempts),
        ),
    )
    assert story.names == ["scheduled", "started", "timed_out"]
    event = story["timed_out"]
    assert event.retry_state == TIMEOUT
    assert event.failure == timed_out(NO_TIME_LEFT, SCHEDULE_TO_CLOSE, beats=("half",))


@pytest.mark.parametrize(
    "timeouts",
    [{"start_to_close": SOON}, {"heartbeat": SOON}],
    ids=["start to close", "heartbeat"],
)
async def test_after_a_timeout_another_attempt_would_come_too_late(
    client: Client, timeouts: dict[str, Any]
) -> None:
    story = await story_of_order(
        client,
        Order(
            "beat_then_never_end",
            args=["half"],
            schedule_to_close=30,
            retries=Retries(initial=60),
            **timeouts,
        ),
    )
    event = story["timed_out"]
    assert event.retry_state == TIMEOUT
    assert event.failure == timed_out(NO_TIME_LEFT, SCHEDULE_TO_CLOSE, beats=("half",))


async def test_the_cause_of_a_timeout_is_the_failure_before_it(client: Client) -> None:
    story = await story_of_order(
        client,
        Order(
            "fail_then_never_end",
            start_to_close=SOON,
            retries=Retries(initial=FAST, attempts=2),
        ),
    )
    first = story["started"].last_failure
    assert first.message == "first"
    event = story["timed_out"]
    assert event.retry_state == NO_ATTEMPTS_LEFT
    assert event.failure == timed_out(
        "activity StartToClose timeout", START_TO_CLOSE, cause=first
    )


async def test_the_cause_of_a_timeout_may_be_a_timeout(client: Client) -> None:
    story = await story_of_order(
        client,
        Order(
            "beat_then_never_end",
            start_to_close=SOON,
            retries=Retries(initial=FAST, attempts=2),
        ),
    )
    first = timed_out("activity StartToClose timeout", START_TO_CLOSE)
    assert story["started"].last_failure == first
    event = story["timed_out"]
    assert event.retry_state == NO_ATTEMPTS_LEFT
    assert event.failure == timed_out(
        "activity StartToClose timeout", START_TO_CLOSE, cause=first
    )


async def test_a_timeout_that_is_followed_by_an_attempt_has_no_cause(
    client: Client,
) -> None:
    async with new_worker(
        client, OneActivityWorkflow, activities=[fail_then_never_end]
    ) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "fail_then_never_end",
                start_to_close=SOON,
                retries=Retries(initial=FAST, coefficient=100_000, maximum=60),
            ),
        )
        info = await pending(handle, attempt=3)
        await handle.terminate()
    assert info.last_failure == timed_out(
        "activity StartToClose timeout", START_TO_CLOSE
    )


async def test_time_runs_out_while_waiting_for_another_attempt_after_a_failure(
    client: Client,
) -> None:
    story = await story_of_order(
        client,
        Order(
            "fail_then_never_end",
            schedule_to_close=2,
            retries=Retries(initial=FAST),
        ),
    )
    first = story["started"].last_failure
    assert first.message == "first"
    event = story["timed_out"]
    assert event.retry_state == TIMEOUT
    assert event.failure == timed_out(NO_TIME_LEFT, SCHEDULE_TO_CLOSE, cause=first)


async def test_a_workflow_sees_a_timeout_and_why_there_was_no_retry(
    client: Client,
) -> None:
    async with new_worker(
        client, OneActivityWorkflow, activities=[beat_then_never_end]
    ) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "beat_then_never_end",
                start_to_close=SOON,
                retries=Retries(attempts=1),
            ),
        )
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    error = failed.value.cause
    assert isinstance(error, ActivityError)
    assert str(error) == "Activity task timed out"
    assert error.retry_state == SdkRetryState.MAXIMUM_ATTEMPTS_REACHED
    assert str(error.cause) == "activity StartToClose timeout"
