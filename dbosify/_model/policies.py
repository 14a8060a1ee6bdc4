"""Defaults that Temporal's server fills in before it stores anything."""

from __future__ import annotations

from typing import Protocol

from . import clock
from .protos import (
    ActivityTaskScheduledEventAttributes,
    Duration,
    Priority,
    RetryPolicy,
)

_MAX_FAIRNESS_KEY = 64
"""Bytes."""
_TIMEOUT_TYPES = ("StartToClose", "ScheduleToStart", "ScheduleToClose", "Heartbeat")


def wrong_duration(value: Duration) -> str:
    """What the server has against a duration, in its words, or an empty text."""
    if value.seconds * value.nanos < 0:
        return "duration has seconds and nanos with different signs"
    return "negative duration" if clock.seconds(value) < 0 else ""


def wrong_priority(value: Priority) -> str:
    """What the server has against a priority, in its words, or an empty text."""
    if value.priority_key < 0:
        return "priority key can't be negative"
    if len(value.fairness_key.encode()) > _MAX_FAIRNESS_KEY:
        return "fairness key length exceeds limit"
    return "must be greater than zero" if value.fairness_weight < 0 else ""


def fill_defaults(policy: RetryPolicy) -> None:
    """Put the defaults where a retry policy says nothing."""
    if clock.seconds(policy.initial_interval) == 0:
        policy.initial_interval.FromSeconds(1)
    if policy.backoff_coefficient == 0:
        policy.backoff_coefficient = 2.0
    if clock.seconds(policy.maximum_interval) == 0:
        initial = min(clock.duration_nanoseconds(policy.initial_interval), 2**63 - 1)
        # In the server's integers a hundred times an age comes out as less than none.
        wrapped = (initial * 100 + 2**63) % 2**64 - 2**63
        policy.maximum_interval.CopyFrom(clock.duration_of(wrapped))


def problem(policy: RetryPolicy) -> str | None:
    """What the server has against a policy with its defaults, in its words."""
    if policy.maximum_attempts == 1:
        return None
    wrong = wrong_duration(policy.initial_interval)
    if wrong:
        return f"invalid InitialInterval set on retry policy: {wrong}"
    if policy.backoff_coefficient < 1:
        return "BackoffCoefficient cannot be less than 1 on retry policy."
    wrong = wrong_duration(policy.maximum_interval)
    if wrong:
        return f"invalid MaximumInterval set on retry policy: {wrong}"
    if clock.seconds(policy.maximum_interval) < clock.seconds(policy.initial_interval):
        return "MaximumInterval cannot be less than InitialInterval on retry policy."
    if policy.maximum_attempts < 0:
        return "MaximumAttempts cannot be negative on retry policy."
    for name in policy.non_retryable_error_types:
        prefix, colon, kind = name.partition(":")
        if prefix == "TemporalTimeout" and colon and kind not in _TIMEOUT_TYPES:
            return f"Invalid timeout type value: {kind}."
    return None


class Timeouts(Protocol):
    """What asks for an activity: a workflow's command, or a client's request."""

    @property
    def schedule_to_close_timeout(self) -> Duration:
        """All attempts together."""

    @property
    def schedule_to_start_timeout(self) -> Duration:
        """The wait for a worker."""

    @property
    def start_to_close_timeout(self) -> Duration:
        """One attempt."""

    @property
    def heartbeat_timeout(self) -> Duration:
        """Between two signs of life."""


def settle_timeouts(
    result: ActivityTaskScheduledEventAttributes, source: Timeouts, *, within: float
) -> None:
    """Write an activity's timeouts as the server stores them.

    Those that are not set take the schedule-to-close timeout, or the run's; none
    exceeds the run's; the heartbeat timeout never exceeds start-to-close.

    Args:
        result: is changed.
        source: the timeouts as asked for.
        within: the timeout of the run in seconds, 0 if there is none.
    """
    close = clock.seconds(source.schedule_to_close_timeout)
    to_start = clock.seconds(source.schedule_to_start_timeout)
    start_to_close = clock.seconds(source.start_to_close_timeout)
    if close > 0:
        close = _cap(close, within)
        to_start = _cap(to_start or close, close)
        start_to_close = _cap(start_to_close or close, close)
    else:
        close = within
        to_start = _cap(to_start or within, within)
        start_to_close = _cap(start_to_close, within)
    heartbeat = min(clock.seconds(source.heartbeat_timeout), start_to_close)
    for field, value in (
        (result.schedule_to_close_timeout, close),
        (result.schedule_to_start_timeout, to_start),
        (result.start_to_close_timeout, start_to_close),
        (result.heartbeat_timeout, heartbeat),
    ):
        field.CopyFrom(clock.duration(value))


def _cap(value: float, limit: float) -> float:
    return min(value, limit) if limit > 0 else value
