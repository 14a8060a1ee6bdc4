"""Which failed attempts are followed by another, after how long, and what is told."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity
from dbosify.api.enums.v1 import PendingActivityState, RetryState
from dbosify.api.failure.v1 import Failure
from dbosify.api.workflowservice.v1 import PauseActivityRequest
from dbosify.client import Client
from dbosify.exceptions import ApplicationError
from tests.ported_temporal.activity_history import (
    close_to,
    moment,
    pending,
    start_order,
    story_after_end,
    story_of,
)
from tests.ported_temporal.contract import IDENTITY, execution, payloads
from tests.ported_temporal.one_activity import OneActivityWorkflow, Order, Retries
from tests.ported_temporal.scaffold import new_worker

SCHEDULED = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
PAUSE_REQUESTED = PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED
PAUSED = PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED

FAST = 0.001
"""Seconds between attempts where the time between them doesn't matter."""


@activity.defn
async def fail_as_told(
    message: str, error_type: str | None, non_retryable: bool
) -> None:
    """Fail with the attempt in the details."""
    raise ApplicationError(
        message,
        activity.info().attempt,
        type=error_type,
        non_retryable=non_retryable,
    )


@activity.defn
async def fail_with_cause() -> None:
    """Fail with an error of one type that was caused by one of another."""
    try:
        raise ApplicationError("inner", type="Inner")
    except ApplicationError as inner:
        raise ApplicationError("outer", type="Outer") from inner


@activity.defn
async def never_end() -> None:
    await asyncio.Event().wait()


ACTIVITIES: list[Callable[..., Any]] = [fail_as_told, fail_with_cause, never_end]


def attempt_of(failure: Failure) -> int:
    """The attempt that failed so."""
    details = failure.application_failure_info.details
    return next(number for number in range(1, 100) if payloads(number) == details)


async def test_the_last_of_the_allowed_attempts_ends_the_activity(
    client: Client,
) -> None:
    async with new_worker(
        client, OneActivityWorkflow, activities=ACTIVITIES, identity="a worker"
    ) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "fail_as_told",
                args=["oh no", "Trouble", False],
                start_to_close=10,
                retries=Retries(initial=FAST, attempts=3),
            ),
        )
        story = await story_after_end(handle)
    assert story.names == ["scheduled", "started", "failed"]
    assert story["started"].attempt == 3
    assert attempt_of(story["started"].last_failure) == 2
    failed = story["failed"]
    assert failed.retry_state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED
    assert failed.scheduled_event_id == story.ids["scheduled"]
    assert failed.started_event_id == story.ids["started"]
    assert failed.identity == "a worker"
    assert failed.failure.message == "oh no"
    assert failed.failure.application_failure_info.type == "Trouble"
    assert attempt_of(failed.failure) == 3
    assert not failed.failure.HasField("cause")


async def test_attempts_that_are_repeated_leave_no_events(client: Client) -> None:
    async with new_worker(client, OneActivityWorkflow, activities=ACTIVITIES) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "fail_as_told",
                args=["oh no", None, False],
                start_to_close=10,
                retries=Retries(initial=60),
            ),
        )
        await pending(handle, attempt=2)
        story = await story_of(handle)
        await handle.terminate()
    assert story.names == ["scheduled"]


@pytest.mark.parametrize(
    ("error_type", "non_retryable", "never"),
    [
        ("Trouble", True, []),
        ("Trouble", False, ["Other", "Trouble"]),
        ("Trouble", True, ["Trouble"]),
    ],
    ids=["by its flag", "by its type", "by both"],
)
async def test_a_failure_that_is_not_retryable_ends_the_activity(
    client: Client, error_type: str, non_retryable: bool, never: list[str]
) -> None:
    async with new_worker(client, OneActivityWorkflow, activities=ACTIVITIES) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "fail_as_told",
                args=["oh no", error_type, non_retryable],
                start_to_close=10,
                retries=Retries(initial=FAST, never=never),
            ),
        )
        story = await story_after_end(handle)
    assert story["started"].attempt == 1
    failed = story["failed"]
    assert failed.retry_state == RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE
    info = failed.failure.application_failure_info
    assert info.non_retryable == non_retryable
    assert info.type == error_type


async def test_not_retryable_is_said_before_the_last_attempt_is(
    client: Client,
) -> None:
    async with new_worker(client, OneActivityWorkflow, activities=ACTIVITIES) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "fail_as_told",
                args=["oh no", None, True],
                start_to_close=10,
                retries=Retries(attempts=1),
            ),
        )
        story = await story_after_end(handle)
    state = story["failed"].retry_state
    assert state == RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE


async def test_the_type_of_a_cause_does_not_end_the_activity(client: Client) -> None:
    async with new_worker(client, OneActivityWorkflow, activities=ACTIVITIES) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "fail_with_cause",
                start_to_close=10,
                retries=Retries(initial=FAST, attempts=2, never=["Inner"]),
            ),
        )
        story = await story_after_end(handle)
    failed = story["failed"]
    assert failed.retry_state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED
    assert failed.failure.cause.application_failure_info.type == "Inner"


@pytest.mark.parametrize(
    ("name", "heartbeat"),
    [("TemporalTimeout:StartToClose", None), ("TemporalTimeout:Heartbeat", 0.2)],
)
async def test_a_timeout_ends_the_activity_if_its_name_is_not_retryable(
    client: Client, name: str, heartbeat: float | None
) -> None:
    async with new_worker(client, OneActivityWorkflow, activities=ACTIVITIES) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "never_end",
                start_to_close=30 if heartbeat else 0.2,
                heartbeat=heartbeat,
                retries=Retries(initial=FAST, never=[name]),
            ),
        )
        story = await story_after_end(handle)
    assert story["started"].attempt == 1
    state = story["timed_out"].retry_state
    assert state == RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE


@pytest.mark.parametrize(
    ("retries", "wait"),
    [
        (Retries(initial=0.01, coefficient=1000, maximum=60), 10),
        (Retries(initial=0.01, coefficient=10_000, maximum=60), 60),
        (Retries(initial=0.3, coefficient=1000), 30),
    ],
    ids=["growing", "at its maximum", "at the default maximum"],
)
async def test_the_wait_before_an_attempt_grows_up_to_a_maximum(
    client: Client, retries: Retries, wait: float
) -> None:
    async with new_worker(client, OneActivityWorkflow, activities=ACTIVITIES) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "fail_as_told",
                args=["oh no", None, False],
                start_to_close=10,
                retries=retries,
            ),
        )
        info = await pending(handle, attempt=3, state=SCHEDULED)
        await handle.terminate()
    assert close_to(info.current_retry_interval.ToTimedelta(), wait)
    assert attempt_of(info.last_failure) == 2


@activity.defn
async def fail_with_delay() -> None:
    raise ApplicationError("later", next_retry_delay=timedelta(hours=2))


async def test_a_failure_may_say_itself_when_to_try_again(client: Client) -> None:
    async with new_worker(
        client, OneActivityWorkflow, activities=[fail_with_delay]
    ) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "fail_with_delay",
                start_to_close=10,
                retries=Retries(initial=FAST, maximum=2 * FAST),
            ),
        )
        info = await pending(handle, attempt=2)
        await handle.terminate()
    assert close_to(info.current_retry_interval.ToTimedelta(), 7200)
    wait = moment(info.next_attempt_schedule_time) - moment(
        info.last_attempt_complete_time
    )
    assert close_to(wait, 7200)
    delay = info.last_failure.application_failure_info.next_retry_delay
    assert delay.ToTimedelta() == timedelta(hours=2)


async def test_an_attempt_that_would_come_too_late_is_not_made(client: Client) -> None:
    async with new_worker(client, OneActivityWorkflow, activities=ACTIVITIES) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "fail_as_told",
                args=["oh no", None, False],
                schedule_to_close=30,
                retries=Retries(initial=60),
            ),
        )
        story = await story_after_end(handle)
    assert story.names == ["scheduled", "started", "failed"]
    assert story["started"].attempt == 1
    failed = story["failed"]
    assert failed.retry_state == RetryState.RETRY_STATE_TIMEOUT
    assert failed.failure.message == "oh no"
    assert failed.failure.HasField("application_failure_info")


async def test_a_delay_that_a_failure_asks_for_may_be_too_long(client: Client) -> None:
    async with new_worker(
        client, OneActivityWorkflow, activities=[fail_with_delay]
    ) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "fail_with_delay", schedule_to_close=30, retries=Retries(initial=FAST)
            ),
        )
        story = await story_after_end(handle)
    assert story["failed"].retry_state == RetryState.RETRY_STATE_TIMEOUT


async def test_a_big_failure_is_cut_while_the_activity_is_tried_again(
    client: Client,
) -> None:
    message = "oh no" * 2000
    async with new_worker(client, OneActivityWorkflow, activities=ACTIVITIES) as worker:
        handle = await start_order(
            client,
            worker,
            Order(
                "fail_as_told",
                args=[message, "Trouble", False],
                start_to_close=10,
                retries=Retries(initial=60),
            ),
        )
        info = await pending(handle, attempt=2)
        await handle.terminate()
    kept = info.last_failure
    assert kept.message == "Failure exceeds size limit."
    assert kept.HasField("server_failure_info")
    assert message.startswith(kept.cause.message)
    assert 0 < len(kept.cause.message) < 5000
    assert kept.cause.application_failure_info.type == "Trouble"


@pytest.mark.needs("activity pause")
async def test_a_paused_activity_that_fails_waits_for_being_unpaused(
    client: Client,
) -> None:
    go_on = asyncio.Event()

    @activity.defn
    async def fail_when_told() -> None:
        await go_on.wait()
        raise RuntimeError("oh no")

    async with new_worker(
        client, OneActivityWorkflow, activities=[fail_when_told]
    ) as worker:
        handle = await start_order(
            client,
            worker,
            Order("fail_when_told", start_to_close=30, retries=Retries(attempts=1)),
        )
        await pending(handle, state=STARTED)
        await client.workflow_service.pause_activity(
            PauseActivityRequest(
                namespace=client.namespace,
                execution=execution(handle.id),
                identity=IDENTITY,
                id="1",
            )
        )
        await pending(handle, paused=True, state=PAUSE_REQUESTED)
        go_on.set()
        info = await pending(handle, state=PAUSED)
        await handle.terminate()
    assert info.attempt == 2
    assert info.last_failure.message == "oh no"
