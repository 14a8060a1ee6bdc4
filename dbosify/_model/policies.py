"""Defaults that Temporal's server fills in before it stores anything."""

from __future__ import annotations

from . import clock
from .protos import RetryPolicy

_TIMEOUT_TYPES = ("StartToClose", "ScheduleToStart", "ScheduleToClose", "Heartbeat")


def fill_defaults(policy: RetryPolicy) -> None:
    """Put the defaults where a retry policy says nothing."""
    if clock.seconds(policy.initial_interval) == 0:
        policy.initial_interval.FromSeconds(1)
    if policy.backoff_coefficient == 0:
        policy.backoff_coefficient = 2.0
    if clock.seconds(policy.maximum_interval) == 0:
        policy.maximum_interval.CopyFrom(
            clock.duration(clock.seconds(policy.initial_interval) * 100)
        )


def problem(policy: RetryPolicy) -> str | None:
    """What the server has against a policy with its defaults, in its words."""
    if policy.maximum_attempts == 1:
        return None
    initial = clock.seconds(policy.initial_interval)
    maximum = clock.seconds(policy.maximum_interval)
    if initial < 0:
        return "invalid InitialInterval set on retry policy: negative duration"
    if policy.backoff_coefficient < 1:
        return "BackoffCoefficient cannot be less than 1 on retry policy."
    if maximum < 0:
        return "invalid MaximumInterval set on retry policy: negative duration"
    if maximum < initial:
        return "MaximumInterval cannot be less than InitialInterval on retry policy."
    if policy.maximum_attempts < 0:
        return "MaximumAttempts cannot be negative on retry policy."
    for name in policy.non_retryable_error_types:
        prefix, colon, kind = name.partition(":")
        if prefix == "TemporalTimeout" and colon and kind not in _TIMEOUT_TYPES:
            return f"Invalid timeout type value: {kind}."
    return None
