"""What a run wants done to other runs, as it lies in the outbox.

An entry is written in the transaction that makes it true and delivered afterwards, by
whoever comes first. Its id says which run wants what because of which event, so that it
is one entry however often the turn is tried.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from . import children, ids
from .children import Child
from .effects import (
    AskNexusOperation,
    CancelExternal,
    CancelNexusOperation,
    Effect,
    SignalExternal,
    StartChild,
)
from .protos import (
    Callback,
    EventType,
    HistoryEvent,
    ParentClosePolicy,
    WorkflowExecutionStartedEventAttributes,
)

_ADMITTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED
_ABANDON = ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON


class Kind(str, enum.Enum):
    """What is to be done."""

    START = "start"
    SIGNAL = "signal"
    CANCEL = "cancel"
    REPORT = "report"
    """Tell the parent that its child has ended."""
    PART = "part"
    """Do to a child what its parent's close policy says."""
    NEXUS = "nexus"
    """Have the handler of a Nexus operation called."""
    CANCEL_NEXUS = "cancel nexus"
    """Have the handler of a Nexus operation asked to cancel it."""
    CALL_BACK = "call back"
    """Tell those who asked for it that the run has ended."""
    ACTIVITY_CALL_BACK = "activity call back"
    """The same of an activity that a client started."""
    UPDATE_CALL_BACK = "update call back"
    """The same of an update; it lies there until the update has ended."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to be done."""

    workflow_uuid: str
    """The run, or the activity, that wants it."""
    kind: Kind
    event_id: int
    """The event of that run because of which it is wanted."""
    events: tuple[HistoryEvent, ...]
    """What the delivery needs to know."""

    @property
    def entry_id(self) -> str:
        """The same whenever the same is wanted."""
        return f"{self.workflow_uuid}/{self.kind.value}/{self.event_id}"


def kind_of(entry_id: str) -> Kind:
    """What the entry of an id wants done."""
    return Kind(entry_id.rsplit("/", 2)[1])


def of_effects(workflow_uuid: str, effects: Iterable[Effect]) -> Iterator[Entry]:
    """The entries of a turn's effects."""
    for effect in effects:
        match effect:
            case StartChild():
                first = HistoryEvent(
                    event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
                    workflow_execution_started_event_attributes=effect.started,
                )
                yield _entry(workflow_uuid, Kind.START, effect.event, first)
            case SignalExternal():
                yield _entry(workflow_uuid, Kind.SIGNAL, effect.event)
            case CancelExternal():
                yield _entry(workflow_uuid, Kind.CANCEL, effect.event)
            case AskNexusOperation():
                yield _entry(workflow_uuid, Kind.NEXUS, effect.event)
            case CancelNexusOperation():
                yield _entry(workflow_uuid, Kind.CANCEL_NEXUS, effect.event)


def of_close(
    workflow_uuid: str,
    started: WorkflowExecutionStartedEventAttributes,
    closing: HistoryEvent,
    *,
    last: bool,
    open_children: Iterable[Child],
    callbacks: Sequence[Callback] = (),
) -> Iterator[Entry]:
    """The entries that a run's end makes, whatever ended it.

    Args:
        workflow_uuid: of the run.
        started: its start.
        closing: its last event.
        last: whether no run follows it.
        open_children: of the run.
        callbacks: of those who joined the run and are to be told.
    """
    if last and started.HasField("parent_workflow_execution"):
        told = children.report(started, ids.run_id_of(workflow_uuid), closing)
        first = HistoryEvent(workflow_execution_started_event_attributes=started)
        first.workflow_execution_started_event_attributes.ClearField("input")
        yield Entry(workflow_uuid, Kind.REPORT, closing.event_id, (first, told))
    asking = [*started.completion_callbacks, *callbacks]
    if last and asking:
        first = HistoryEvent()
        beginning = first.workflow_execution_started_event_attributes
        beginning.completion_callbacks.extend(asking)
        yield Entry(workflow_uuid, Kind.CALL_BACK, closing.event_id, (first, closing))
    for child in open_children:
        options = (
            child.initiated.start_child_workflow_execution_initiated_event_attributes
        )
        # A start that still lies in the outbox will find its parent closed.
        if options.parent_close_policy == _ABANDON or not child.run_id:
            continue
        began = HistoryEvent(event_time=closing.event_time)
        attributes = began.child_workflow_execution_started_event_attributes
        attributes.workflow_execution.workflow_id = options.workflow_id
        attributes.workflow_execution.run_id = child.run_id
        yield _entry(workflow_uuid, Kind.PART, child.initiated, began)


def of_update(workflow_uuid: str, update_id: str) -> Entry:
    """The entry that calls back when an update has ended; the same for all who ask."""
    number = hashlib.sha256(update_id.encode()).digest()[:7]
    admitted = HistoryEvent(event_type=_ADMITTED)
    request = admitted.workflow_execution_update_admitted_event_attributes.request
    request.meta.update_id = update_id
    return Entry(
        workflow_uuid, Kind.UPDATE_CALL_BACK, int.from_bytes(number, "big"), (admitted,)
    )


def _entry(uuid: str, kind: Kind, because: HistoryEvent, *more: HistoryEvent) -> Entry:
    return Entry(uuid, kind, because.event_id, (because, *more))
