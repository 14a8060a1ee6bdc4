"""What a turn wants done, as data.

The core answers with these; the store applies those that touch the database inside
the transaction that appends the turn's events, the runtime those that live in memory
once that transaction has committed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from .protos import (
    Failure,
    HistoryEvent,
    Memo,
    Payloads,
    SearchAttributes,
    UpdateOutcome,
    WorkflowExecutionStartedEventAttributes,
    WorkflowExecutionStatus,
    WorkflowTaskFailedCause,
)


@dataclass(frozen=True, slots=True)
class ScheduleActivity:
    """Hand an activity to a worker: in this process if one is free, else by queue."""

    event: HistoryEvent
    eager_allowed: bool


@dataclass(frozen=True, slots=True)
class CancelActivity:
    """Tell an activity that the workflow asked for its cancellation."""

    scheduled_event_id: int


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Wake the run at `deadline`, in seconds since 1970."""

    timer_id: str
    started_event_id: int
    deadline: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Forget a timer, also when it is due already but not delivered."""

    timer_id: str


@dataclass(frozen=True, slots=True)
class UpsertSearchAttributes:
    """Change the run's indexed attributes; a null payload removes one."""

    attributes: SearchAttributes


@dataclass(frozen=True, slots=True)
class UpsertMemo:
    """Change the run's memo; a null payload removes a key."""

    memo: Memo


@dataclass(frozen=True, slots=True)
class AcceptUpdate:
    """Tell who waits for an update that the workflow has accepted it."""

    update_id: str


@dataclass(frozen=True, slots=True)
class CompleteUpdate:
    """Tell who waits for an update how it ended."""

    update_id: str
    outcome: UpdateOutcome
    calls_back: bool = False
    """Whether its sender wants to be told, wherever it is by then."""


@dataclass(frozen=True, slots=True)
class RejectUpdate:
    """Tell who waits for an update that the workflow does not want it."""

    update_id: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class StartChild:
    """Start a child workflow, and tell the run what came of it."""

    event: HistoryEvent
    started: WorkflowExecutionStartedEventAttributes
    """Of the child; its run id and its times are not known yet."""


@dataclass(frozen=True, slots=True)
class SignalExternal:
    """Signal another workflow, and tell the run what came of it."""

    event: HistoryEvent


@dataclass(frozen=True, slots=True)
class CancelExternal:
    """Ask another workflow to end, and tell the run what came of it."""

    event: HistoryEvent


@dataclass(frozen=True, slots=True)
class AskNexusOperation:
    """Have an operation's handler called."""

    event: HistoryEvent


@dataclass(frozen=True, slots=True)
class CancelNexusOperation:
    """Have an operation's handler asked to cancel it."""

    event: HistoryEvent


Effect: TypeAlias = (
    ScheduleActivity
    | CancelActivity
    | StartTimer
    | CancelTimer
    | UpsertSearchAttributes
    | UpsertMemo
    | AcceptUpdate
    | CompleteUpdate
    | RejectUpdate
    | StartChild
    | SignalExternal
    | CancelExternal
    | AskNexusOperation
    | CancelNexusOperation
)


@dataclass(frozen=True, slots=True)
class NewRun:
    """The next run of a chain, started in the transaction that closes this one."""

    run_id: str
    started: WorkflowExecutionStartedEventAttributes
    backoff: float
    """Seconds before its first workflow task."""


@dataclass(frozen=True, slots=True)
class Close:
    """The end of a run."""

    status: WorkflowExecutionStatus.ValueType
    event: HistoryEvent
    result: Payloads | None = None
    failure: Failure | None = None
    next: NewRun | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One workflow task done: what to journal and what follows from it."""

    events: tuple[HistoryEvent, ...]
    effects: tuple[Effect, ...] = ()
    close: Close | None = None


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """A workflow task that failed: the run stays open and the task is tried again."""

    cause: WorkflowTaskFailedCause.ValueType
    failure: Failure
    eviction: int
    message: str = field(default="")
