"""The retry rule: whether, why not, and when."""

from __future__ import annotations

import pytest

from dbosify._core.retry import Verdict, decide
from dbosify._model import failures
from dbosify._model.protos import Failure, RetryPolicy, RetryState, TimeoutType
from tests.unit.core.spelling import boom, retry_policy, span


def verdict(
    policy: RetryPolicy,
    failure: Failure | None = None,
    *,
    attempt: int = 1,
    deadline: float | None = None,
) -> Verdict:
    """Judge an attempt that failed at second 100."""
    return decide(
        policy, failure or boom(), attempt=attempt, now=100, deadline=deadline
    )


def refused(name: str) -> Verdict:
    """No more attempts, because of this."""
    return Verdict(RetryState.Value(f"RETRY_STATE_{name}"), None)


def again(delay: float) -> Verdict:
    """One more attempt, after a delay."""
    return Verdict(RetryState.RETRY_STATE_IN_PROGRESS, delay)


def timeout(kind: TimeoutType.ValueType) -> Failure:
    """A failure by timeout."""
    return failures.activity_timeout(kind)


def terminated() -> Failure:
    """Somebody ended it by force."""
    failure = Failure()
    failure.terminated_failure_info.SetInParent()
    return failure


def server(*, final: bool) -> Failure:
    """The server did not like it."""
    failure = failures.server("no")
    failure.server_failure_info.non_retryable = final
    return failure


def wrapped(cause: Failure) -> Failure:
    """An activity's failure, as the workflow that called it may pass it on."""
    return failures.activity(
        "Activity task failed",
        activity_id="1",
        activity_type="a",
        cause=cause,
        retry_state=RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE,
    )


def child() -> Failure:
    """A child's failure."""
    failure = Failure()
    failure.child_workflow_execution_failure_info.SetInParent()
    return failure


LISTED = ("Listed", "TemporalTimeout:StartToClose", "TemporalTimeout:Heartbeat")


@pytest.mark.parametrize(
    ("failure", "final"),
    [
        pytest.param(boom(), (), id="an exception"),
        pytest.param(boom(kind="Other"), LISTED, id="a type that is not listed"),
        pytest.param(
            timeout(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE), (), id="a slow attempt"
        ),
        pytest.param(
            timeout(TimeoutType.TIMEOUT_TYPE_HEARTBEAT),
            ("TemporalTimeout:StartToClose",),
            id="a silent attempt",
        ),
        pytest.param(server(final=False), LISTED, id="the server's"),
        pytest.param(wrapped(boom(final=True)), LISTED, id="an activity's, whatever"),
        pytest.param(child(), LISTED, id="a child's"),
        pytest.param(Failure(message="bare"), LISTED, id="one that says nothing"),
    ],
)
def test_these_failures_are_tried_again(
    failure: Failure, final: tuple[str, ...]
) -> None:
    assert verdict(retry_policy(final=final), failure) == again(1)


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(boom(final=True), id="an exception that says so"),
        pytest.param(boom(kind="Listed"), id="a type that is listed"),
        pytest.param(
            timeout(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE), id="a listed timeout"
        ),
        pytest.param(
            timeout(TimeoutType.TIMEOUT_TYPE_HEARTBEAT), id="a listed silence"
        ),
        pytest.param(
            timeout(TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START), id="never started"
        ),
        pytest.param(
            timeout(TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE), id="out of all time"
        ),
        pytest.param(failures.canceled(), id="cancelled"),
        pytest.param(terminated(), id="terminated"),
        pytest.param(server(final=True), id="the server's, if it says so"),
    ],
)
def test_these_failures_are_final(failure: Failure) -> None:
    policy = retry_policy(final=LISTED, attempts=1)
    assert verdict(policy, failure) == refused("NON_RETRYABLE_FAILURE")


@pytest.mark.parametrize(
    ("maximum", "attempt", "expected"),
    [
        (0, 10**6, again(100)),
        (1, 1, refused("MAXIMUM_ATTEMPTS_REACHED")),
        (3, 2, again(2)),
        (3, 3, refused("MAXIMUM_ATTEMPTS_REACHED")),
        (3, 4, refused("MAXIMUM_ATTEMPTS_REACHED")),
    ],
)
def test_attempts_are_counted_up_to_a_maximum(
    maximum: int, attempt: int, expected: Verdict
) -> None:
    assert verdict(retry_policy(attempts=maximum), attempt=attempt) == expected


@pytest.mark.parametrize(
    ("deadline", "expected"),
    [(None, again(4)), (104, again(4)), (103.9, refused("TIMEOUT"))],
)
def test_no_attempt_starts_after_the_deadline(
    deadline: float | None, expected: Verdict
) -> None:
    assert verdict(retry_policy(), attempt=3, deadline=deadline) == expected


def test_a_delay_of_the_failures_own_may_exceed_the_maximum() -> None:
    failure = boom()
    failure.application_failure_info.next_retry_delay.CopyFrom(span(500))
    assert verdict(retry_policy(maximum=5), failure) == again(500)
    assert verdict(retry_policy(), failure, deadline=600) == again(500)
    assert verdict(retry_policy(), failure, deadline=599) == refused("TIMEOUT")


def test_a_delay_of_no_time_at_all_is_kept() -> None:
    failure = boom()
    failure.application_failure_info.next_retry_delay.CopyFrom(span(0))
    assert verdict(retry_policy(), failure) == again(0)


def test_delays_without_a_maximum_grow_for_ever() -> None:
    assert verdict(retry_policy(maximum=0), attempt=11) == again(1024)


def test_a_delay_too_long_for_a_number_is_the_maximum() -> None:
    assert verdict(retry_policy(), attempt=10**6) == again(100)
