"""Attempts at local activities: retries within the task, timeouts, cancellation."""

from __future__ import annotations

import pytest

from dbosify._core.machines.local_attempt import State
from dbosify._model import failures
from dbosify._model.local import End
from dbosify._model.protos import Failure, TimeoutType
from tests.unit.core.local_attempts import LocalAttempts
from tests.unit.core.spelling import boom, payload, span

_START_TO_CLOSE = failures.local_timeout(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)
_SCHEDULE_TO_START = failures.local_timeout(TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START)
_SCHEDULE_TO_CLOSE = failures.local_timeout(TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE)


def test_a_result_tells_how_long_its_attempt_ran() -> None:
    outcome = LocalAttempts().begin(1).returns(3.5).outcome
    assert outcome.end is End.COMPLETED
    assert outcome.result == payload("done")
    assert (outcome.attempt, outcome.runtime, outcome.backoff) == (1, 2.5, None)


def test_an_attempt_after_a_timer_goes_on_counting() -> None:
    assert LocalAttempts(attempt=3).begin(0).returns(1).outcome.attempt == 3


def test_a_failure_is_tried_again_after_its_backoff() -> None:
    local = LocalAttempts(initial=2).begin(0).raises(1)
    assert (local.state, local.deadline) == (State.BACKOFF, 3)
    local.runs_out()
    assert local.state is State.QUEUED
    local.begin(4)
    assert local.raises(5).deadline == 9
    assert local.runs_out().begin(9).returns(9).outcome.attempt == 3


def test_a_backoff_over_the_threshold_is_left_to_the_workflow() -> None:
    local = LocalAttempts(initial=2, threshold=1).begin(0).raises(1)
    assert local.outcome.backoff == 2
    assert local.outcome.end is End.FAILED
    assert local.outcome.failure == boom()


def test_a_backoff_is_left_to_the_workflow_after_a_minute_unless_it_says_else() -> None:
    assert LocalAttempts(initial=60).begin(0).raises(1).state is State.BACKOFF
    assert LocalAttempts(initial=61).begin(0).raises(1).outcome.backoff == 61


@pytest.mark.parametrize(
    ("policy", "failure"),
    [
        ({"attempts": 1}, boom()),
        ({}, boom(final=True)),
        ({"final": ("NOT again",)}, boom(kind="not AGAIN")),
    ],
    ids=["no attempt is left", "it says so itself", "the policy names its type"],
)
def test_a_failure_may_be_final(policy: dict[str, object], failure: Failure) -> None:
    outcome = LocalAttempts(**policy).begin(0).raises(1, failure).outcome  # type: ignore[arg-type]
    assert (outcome.end, outcome.failure) == (End.FAILED, failure)
    assert outcome.backoff is None


def test_a_failure_may_ask_for_its_delay() -> None:
    failure = boom()
    failure.application_failure_info.next_retry_delay.CopyFrom(span(7))
    assert LocalAttempts().begin(0).raises(1, failure).deadline == 8


def test_a_slow_attempt_is_tried_again() -> None:
    local = LocalAttempts(run=2, attempts=2).begin(0).runs_out()
    assert (local.state, local.deadline) == (State.BACKOFF, 3)
    outcome = local.runs_out().begin(3).runs_out().outcome
    assert (outcome.end, outcome.failure) == (End.TIMED_OUT, _START_TO_CLOSE)


def test_all_attempts_together_have_their_time() -> None:
    local = LocalAttempts(total=3, run=10)
    assert local.deadline == 3
    outcome = local.begin(1).runs_out().outcome
    assert (outcome.end, outcome.failure) == (End.TIMED_OUT, _SCHEDULE_TO_CLOSE)
    assert outcome.runtime == 2


def test_time_spent_before_a_timer_counts() -> None:
    assert LocalAttempts(total=10, waited=8, run=None).deadline == 2


def test_time_may_run_out_between_attempts() -> None:
    local = LocalAttempts(total=3, initial=5).begin(0).raises(1)
    assert local.deadline == 3
    assert local.runs_out().outcome.failure == _SCHEDULE_TO_CLOSE


def test_an_attempt_may_wait_too_long_for_its_slot() -> None:
    outcome = LocalAttempts(to_start=2, total=5).runs_out().outcome
    assert (outcome.end, outcome.failure) == (End.TIMED_OUT, _SCHEDULE_TO_START)


def test_time_may_run_out_before_there_is_a_slot() -> None:
    assert LocalAttempts(total=2).runs_out().outcome.failure == _SCHEDULE_TO_CLOSE


def test_without_timeouts_that_are_near_nothing_is_due() -> None:
    assert LocalAttempts().deadline is None
    assert LocalAttempts().begin(0).returns(1).deadline is None
    assert LocalAttempts(run=None, total=4).begin(1).deadline == 4


def test_a_cancelled_attempt_that_never_began_is_none() -> None:
    outcome = LocalAttempts().asked_to_end().outcome
    assert (outcome.end, outcome.attempt) == (End.CANCELLED, 0)
    assert outcome.failure == failures.activity_cancelled()


def test_a_cancelled_attempt_that_runs_says_how_it_ends() -> None:
    local = LocalAttempts().begin(0).asked_to_end()
    assert local.state is State.STARTED
    outcome = local.reports_its_end(1).outcome
    assert (outcome.end, outcome.attempt) == (End.CANCELLED, 1)
    assert outcome.failure == Failure(message="Cancelled")


def test_a_cancelled_attempt_that_fails_is_not_tried_again() -> None:
    outcome = LocalAttempts().begin(0).asked_to_end().raises(1).outcome
    assert (outcome.end, outcome.backoff) == (End.FAILED, None)
