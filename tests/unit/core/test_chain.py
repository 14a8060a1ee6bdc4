"""Which run follows one that failed, succeeded or ran out of time."""

from __future__ import annotations

from typing import Any

import pytest

from dbosify._core.chain import Chain
from dbosify._model.effects import Close
from dbosify._model.protos import (
    ContinueAsNewInitiator,
    RetryState,
    SearchAttributes,
    TimeoutType,
    WorkflowExecutionStatus,
)
from tests.unit.core.spelling import (
    BEGAN,
    NEXT_RUN_ID,
    RUN_ID,
    at,
    beginning,
    boom,
    payloads,
    retry_policy,
    span,
    start,
)

INITIATOR = ContinueAsNewInitiator
HOURLY = "0 * * * *"
TO_THE_HOUR = 3600 - BEGAN % 3600


def chain(**changes: Any) -> Chain:
    """A run's place in its chain, with `changes` to its start."""
    return Chain(
        RUN_ID, beginning(start(**changes))[0], NEXT_RUN_ID, SearchAttributes()
    )


def timed_out(now: float = 5, **changes: Any) -> Close:
    """How a run ends that is out of time."""
    close = chain(**changes).timed_out(at(now))
    assert close.event.event_time == at(now)
    assert close.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT
    return close


def state_of(close: Close) -> str:
    """Why a run that timed out is tried again or not."""
    event = close.event.workflow_execution_timed_out_event_attributes
    next_run_id = close.next.run_id if close.next else ""
    assert event.new_execution_run_id == next_run_id
    return RetryState.Name(event.retry_state).removeprefix("RETRY_STATE_")


# Cron.


def test_a_cron_goes_on_at_its_next_time() -> None:
    following = chain(cron_schedule=HOURLY).after_success(payloads("r"), at(0.5))
    assert following is not None
    assert following.run_id == NEXT_RUN_ID
    assert following.backoff == TO_THE_HOUR
    new = following.started
    assert new.first_workflow_task_backoff == span(TO_THE_HOUR)
    assert new.initiator == INITIATOR.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
    assert new.last_completion_result == payloads("r")
    assert new.continued_execution_run_id == RUN_ID
    assert new.attempt == 1


def test_times_missed_while_a_run_took_long_are_skipped() -> None:
    started = chain(cron_schedule="@every 10s", first_workflow_task_backoff=span(10))
    following = started.after_success(payloads(), at(45.2))
    assert following is not None
    assert following.backoff == 5  # at 50: the distance counts from the first time


def test_a_success_forgets_the_failure_before_it() -> None:
    following = chain(
        cron_schedule=HOURLY, continued_failure=boom(), attempt=4
    ).after_success(payloads("r"), at(1))
    assert following is not None
    assert not following.started.HasField("continued_failure")
    assert following.started.attempt == 1


def test_a_failure_keeps_the_last_result() -> None:
    state, following = chain(
        cron_schedule=HOURLY, last_completion_result=payloads("kept")
    ).after_failure(boom("why"), at(1))
    assert state == RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET
    assert following is not None
    assert following.started.last_completion_result == payloads("kept")
    assert following.started.continued_failure == boom("why")


def test_a_retry_comes_before_the_crons_next_time() -> None:
    state, following = chain(
        cron_schedule=HOURLY, retry_policy=retry_policy(attempts=2)
    ).after_failure(boom(), at(1))
    assert state == RetryState.RETRY_STATE_IN_PROGRESS
    assert following is not None
    assert following.started.initiator == INITIATOR.CONTINUE_AS_NEW_INITIATOR_RETRY
    assert following.started.attempt == 2
    assert following.backoff == 1


def test_a_cron_goes_on_when_no_retry_is_left() -> None:
    state, following = chain(
        cron_schedule=HOURLY, retry_policy=retry_policy(attempts=2), attempt=2
    ).after_failure(boom(), at(1))
    assert state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED
    assert following is not None
    assert following.started.attempt == 1
    assert following.backoff == TO_THE_HOUR - 1


def test_a_cron_ends_with_the_time_of_its_chain() -> None:
    started = chain(cron_schedule=HOURLY, workflow_execution_expiration_time=at(9))
    assert started.after_success(payloads(), at(8)) is not None
    assert started.after_success(payloads(), at(9)) is None


def test_a_cron_ends_if_it_has_no_time_left_to_fire() -> None:
    # The 29th of February of the year 2100 does not exist.
    started = chain(cron_schedule="0 0 29 2 *")
    far = at(4_010_000_000 - BEGAN)
    assert started.after_success(payloads(), far) is None


def test_without_a_cron_a_success_is_the_end() -> None:
    assert chain().after_success(payloads(), at(1)) is None


# Timeouts.


def test_a_run_that_timed_out_without_a_policy_is_over() -> None:
    close = timed_out()
    assert state_of(close) == "RETRY_POLICY_NOT_SET"
    assert close.next is None


def test_a_run_timeout_is_retried_as_a_failure() -> None:
    close = timed_out(retry_policy=retry_policy(initial=3))
    assert state_of(close) == "IN_PROGRESS"
    assert close.next is not None
    assert close.next.backoff == 3
    failure = close.next.started.continued_failure
    assert (failure.message, failure.source) == ("workflow timeout", "Server")
    assert failure.timeout_failure_info.timeout_type == (
        TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
    )
    assert close.failure == failure


@pytest.mark.parametrize(
    ("policy", "state"),
    [
        ({"final": ("TemporalTimeout:StartToClose",)}, "NON_RETRYABLE_FAILURE"),
        ({"attempts": 1}, "MAXIMUM_ATTEMPTS_REACHED"),
    ],
)
def test_a_policy_may_exclude_run_timeouts(policy: dict[str, Any], state: str) -> None:
    close = timed_out(retry_policy=retry_policy(**policy))
    assert state_of(close) == state
    assert close.next is None


def test_a_run_timeout_of_a_cron_is_followed_by_its_next_run() -> None:
    close = timed_out(cron_schedule=HOURLY)
    assert state_of(close) == "RETRY_POLICY_NOT_SET"
    assert close.next is not None
    assert close.next.started.initiator == (
        INITIATOR.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
    )


@pytest.mark.parametrize("now", [7, 8])
def test_nothing_follows_when_the_chain_is_out_of_time(now: float) -> None:
    close = timed_out(
        now,
        retry_policy=retry_policy(),
        cron_schedule=HOURLY,
        workflow_execution_expiration_time=at(7),
    )
    assert state_of(close) == "TIMEOUT"
    assert close.next is None


def test_a_retry_that_would_begin_too_late_is_none() -> None:
    close = timed_out(
        retry_policy=retry_policy(initial=3), workflow_execution_expiration_time=at(7)
    )
    assert state_of(close) == "TIMEOUT"
