"""What passes between a run's core and whoever runs its local activities.

A local activity is no event until it is over, so neither effects nor rows know of it:
the core gives orders while a workflow task is under way, and takes the outcomes.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from .protos import Failure, Payload, ScheduleLocalActivity, Timestamp


class End(enum.Enum):
    """The ways a local activity may end."""

    COMPLETED = enum.auto()
    FAILED = enum.auto()
    TIMED_OUT = enum.auto()
    CANCELLED = enum.auto()


@dataclass(frozen=True, slots=True)
class LocalOutcome:
    """The end of a local activity, or of its attempts in this workflow task."""

    end: End
    attempt: int
    """The last one."""
    runtime: float = 0.0
    """Seconds that it ran; the workflow's clock is moved on by them."""
    result: Payload | None = None
    failure: Failure | None = None
    backoff: float | None = None
    """Seconds that the workflow is to wait before it schedules the next attempt."""


@dataclass(frozen=True, slots=True)
class RunLocal:
    """Run a local activity."""

    command: ScheduleLocalActivity
    scheduled: Timestamp
    """When its first attempt was asked for, in this workflow task or another."""


@dataclass(frozen=True, slots=True)
class CancelLocal:
    """Tell a local activity that it is to end."""

    seq: int


LocalOrder: TypeAlias = RunLocal | CancelLocal
