"""An activity that is not over, as every layer knows it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .protos import Failure, HistoryEvent, Payloads, Priority

_USUAL_PRIORITY = 3
"""What a task without a priority has; 1 comes before all others."""


class AttemptState(enum.IntEnum):
    """Where an activity stands; the numbers are stored."""

    SCHEDULED = 1
    STARTED = 2
    BACKOFF = 3
    OVER = 4


@dataclass(frozen=True, slots=True)
class Pause:
    """Who has paused an activity, why, and when: seconds since 1970."""

    at: float
    identity: str
    reason: str


@dataclass(slots=True)
class Progress:
    """What changes from attempt to attempt; times are seconds since 1970."""

    attempt: int
    attempt_scheduled_at: float
    started_at: float | None = None
    completed_at: float | None = None
    """When the attempt before this one ended."""
    heartbeat_at: float | None = None
    heartbeat: Payloads | None = None
    last_failure: Failure | None = None
    identity: str = ""
    token: str = ""
    cancel_requested: bool = False
    pause: Pause | None = None
    """No attempt begins while there is one."""
    reset_requested: bool = False
    """Whether the attempt that runs is to end for another to begin."""


@dataclass(slots=True)
class ActivityRow:
    """An activity as stored.

    With `eager` it runs in the process that owns its run and goes with it; otherwise it
    is also a DBOS workflow on the activity queue, and `token` fences its attempts. One
    that belongs to no workflow has empty names of one.
    """

    task_id: str
    workflow_uuid: str
    workflow_id: str
    run_id: str
    workflow_type: str
    scheduled: HistoryEvent
    progress: Progress
    state: AttemptState
    executor_id: str | None
    token: str | None
    eager: bool
    deadline: float | None = None
    closing: tuple[HistoryEvent, ...] | None = None
    orphaned: bool = False
    cancel_reason: str = ""
    """Of one without a workflow, if its end was asked for just now."""

    @property
    def standalone(self) -> bool:
        """Whether it belongs to no workflow."""
        return not self.workflow_uuid


def rank(priority: Priority) -> int:
    """A task's place in its queue, as DBOS orders: lower first, 0 if it has none."""
    return (priority.priority_key or _USUAL_PRIORITY) - _USUAL_PRIORITY
