"""Defaults that Temporal's server fills in before it stores anything."""

from __future__ import annotations

from . import clock
from .protos import RetryPolicy


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
