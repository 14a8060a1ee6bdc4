"""The one retry rule of Temporal's server, for activities and for whole runs.

Order of the questions: is the failure retryable at all, are attempts left, would the
next attempt still start before the deadline. Only the outermost failure is examined.
"""

from __future__ import annotations

from dataclasses import dataclass

from dbosify._model import clock
from dbosify._model.protos import Failure, RetryPolicy, RetryState, TimeoutType

_TIMEOUT_NAMES = {
    TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE: "TemporalTimeout:StartToClose",
    TimeoutType.TIMEOUT_TYPE_HEARTBEAT: "TemporalTimeout:Heartbeat",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to try again: seconds to wait, or None and why not."""

    state: RetryState.ValueType
    delay: float | None


def decide(
    policy: RetryPolicy,
    failure: Failure,
    *,
    attempt: int,
    now: float,
    deadline: float | None,
) -> Verdict:
    """Judge a failed attempt.

    Args:
        policy: with its defaults filled in.
        failure: how the attempt ended.
        attempt: its number, from 1.
        now: seconds since 1970.
        deadline: no attempt may start after it.
    """
    if not _retryable(policy, failure):
        return Verdict(RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE, None)
    if 0 < policy.maximum_attempts <= attempt:
        return Verdict(RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED, None)
    delay = _delay(policy, failure, attempt)
    if deadline is not None and now + delay > deadline:
        return Verdict(RetryState.RETRY_STATE_TIMEOUT, None)
    return Verdict(RetryState.RETRY_STATE_IN_PROGRESS, delay)


def local_delay(policy: RetryPolicy, failure: Failure, attempt: int) -> float | None:
    """Seconds before the next attempt at a local activity; None if there is none.

    Core's rule, not the server's: types are compared without regard to case, and a
    timeout has none.

    Args:
        policy: with its defaults filled in.
        failure: how the attempt ended.
        attempt: its number, from 1.
    """
    if 0 < policy.maximum_attempts <= attempt:
        return None
    info = failure.application_failure_info
    final = {name.lower() for name in policy.non_retryable_error_types}
    if info.non_retryable or info.type.lower() in final:
        return None
    return _delay(policy, failure, attempt)


def _retryable(policy: RetryPolicy, failure: Failure) -> bool:
    types = policy.non_retryable_error_types
    match failure.WhichOneof("failure_info"):
        case "application_failure_info":
            info = failure.application_failure_info
            return not info.non_retryable and info.type not in types
        case "timeout_failure_info":
            name = _TIMEOUT_NAMES.get(failure.timeout_failure_info.timeout_type)
            return name is not None and name not in types
        case "canceled_failure_info" | "terminated_failure_info":
            return False
        case "server_failure_info":
            return not failure.server_failure_info.non_retryable
        case _:
            return True


def _delay(policy: RetryPolicy, failure: Failure, attempt: int) -> float:
    info = failure.application_failure_info
    if failure.HasField("application_failure_info") and info.HasField(
        "next_retry_delay"
    ):
        return clock.seconds(info.next_retry_delay)
    limit = clock.seconds(policy.maximum_interval)
    try:
        delay = clock.seconds(policy.initial_interval) * (
            policy.backoff_coefficient ** (attempt - 1)
        )
    except OverflowError:
        return limit
    return min(delay, limit) if limit > 0 else delay
