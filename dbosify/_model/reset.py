"""A reset: the history of a new run that begins as another one did, up to a point.

The new run's journal is the old one's up to the end of a workflow task's start, then
the failure of that task, which says why, then what the old run was sent after it. All
of it is calculated here; nothing about the old run changes by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import UpdateAdmittedEventOrigin
from temporalio.api.history.v1 import (
    WorkflowExecutionUpdateAdmittedEventAttributes,
    WorkflowTaskFailedEventAttributes,
    WorkflowTaskScheduledEventAttributes,
    WorkflowTaskStartedEventAttributes,
)

from . import links
from .protos import (
    EventType,
    HistoryEvent,
    Memo,
    SearchAttributes,
    Timestamp,
    UpdateRequest,
    WorkflowTaskFailedCause,
)
from .upserts import put
from .versioning import Versioning

_IDENTITY = "history-service"
_EMPTY_UUID = "emptyUuid"
_SCHEDULED = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
_STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
_TASK_ENDS = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
)
_SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
_ADMITTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED
_ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED
_ACTIVITY = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
_CANCEL_ACTIVITY = EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED
_ASKED = (
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
    EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
)
_ACTIVITY_OVER = (
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
)


class BadPoint(Exception):
    """A run cannot be reset there; the text is the server's."""


@dataclass(frozen=True, slots=True)
class Reset:
    """What is asked for.

    Attributes:
        finish_event_id: The first event that the new run has not: the start or the end
            of a workflow task.
        reason: Of the failure that takes its place.
        base_run_id: The run that is gone back in.
        new_run_id: The run that goes on from there.
        signals: Whether signals that came later are sent again.
        updates: Whether updates that were accepted later are.
        changes: Events of the new run's own: of other options, say.
    """

    finish_event_id: int
    reason: str
    base_run_id: str
    new_run_id: str
    signals: bool = True
    updates: bool = True
    changes: Sequence[HistoryEvent] = ()


@dataclass(slots=True)
class Fork:
    """The new run.

    Attributes:
        kept: The old run's events that are its own as well, oldest first.
        added: What follows them.
        activities: The ActivityTaskScheduled events of what is still to be done.
        cancelled: The numbers of those whose end the workflow has asked for.
        updates: What it is sent again, besides the events of `added`.
        memo: As it is at that point.
        search_attributes: Likewise.
        versioning: Where it belongs.
    """

    kept: list[HistoryEvent]
    added: list[HistoryEvent] = field(default_factory=list)
    activities: dict[int, HistoryEvent] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    updates: list[UpdateRequest] = field(default_factory=list)
    memo: Memo = field(default_factory=Memo)
    search_attributes: SearchAttributes = field(default_factory=SearchAttributes)
    versioning: Versioning = field(default_factory=Versioning)


def fork(
    events: Sequence[HistoryEvent],
    reset: Reset,
    *,
    now: Timestamp,
    later: Iterable[HistoryEvent] = (),
) -> Fork:
    """Calculate the run that a reset makes.

    Args:
        events: of the old run, oldest first, all of them.
        reset: what is asked for.
        now: the database's time.
        later: events of the runs that followed the old one.

    Raises:
        BadPoint: there is no workflow task that starts or ends there.
    """
    check_point(events, reset.finish_event_id)
    number = reset.finish_event_id - 1
    result = Fork(list(events[:number]))
    _remember(result)
    _fail_task(result, reset, now)
    opened = {event.event_id for event in result.kept if event.event_type in _ASKED}
    for event in events[number:]:
        if _number(event, "initiated_event_id") in opened:
            _answer(result, event, now)
    known: set[str] = set()
    for event in (*events[number:], *later):
        if event.event_type == _SIGNALED and reset.signals:
            again = HistoryEvent()
            again.CopyFrom(event)
            _append(result, again, now)
        elif event.event_type in (_ADMITTED, _ACCEPTED) and reset.updates:
            _admit(result, event, known, now)
    for event in reset.changes:
        _append(result, event, now)
    for event in (*result.kept, *result.added):
        result.versioning.learn(event)
    _append(result, _task(result.kept[0]), now)
    return result


def check_point(events: Sequence[HistoryEvent], number: int) -> None:
    """Refuse a point that no run can be reset to.

    Args:
        events: all that the run's history shows.
        number: of the event.

    Raises:
        BadPoint: there is no workflow task that starts or ends there.
    """
    if not 1 < number <= events[-1].event_id:
        raise BadPoint(
            "Workflow task finish ID must be > 1 && <= workflow last event ID."
        )
    kind = events[number - 1].event_type
    if kind == _STARTED or kind in _TASK_ENDS:
        return
    if _follows(events[number - 1], events[number - 2]):
        raise BadPoint(
            "StateRebuilder unable to Rebuild mutable state to event ID:"
            f" {number - 1}, version: 0, this event must be at the boundary"
        )
    raise BadPoint(
        "Can only reset workflow to event ID in range [WorkflowTaskScheduled +1,"
        f" WorkflowTaskStarted + 1]: {number}"
    )


def _follows(event: HistoryEvent, before: HistoryEvent) -> bool:
    """Whether the server writes an event together with the one before it."""
    if event.event_type in (_SCHEDULED, _ACCEPTED, _COMPLETED):
        return True
    if _number(event, "workflow_task_completed_event_id"):
        return True
    # An activity's start is written with its end.
    return before.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED


def _number(event: HistoryEvent, name: str) -> int:
    attributes = getattr(event, event.WhichOneof("attributes") or "", None)
    return int(getattr(attributes, name, 0))


def _remember(result: Fork) -> None:
    """Find out what is open at the point, and what the run shows of itself there."""
    started = result.kept[0].workflow_execution_started_event_attributes
    result.memo.CopyFrom(started.memo)
    result.search_attributes.CopyFrom(started.search_attributes)
    for event in result.kept:
        if event.event_type == _ACTIVITY:
            result.activities[event.event_id] = event
        elif event.event_type == _CANCEL_ACTIVITY:
            result.cancelled.add(_number(event, "scheduled_event_id"))
        elif event.event_type in _ACTIVITY_OVER:
            number = _number(event, "scheduled_event_id")
            del result.activities[number]
            result.cancelled.discard(number)
        upsert = event.upsert_workflow_search_attributes_event_attributes
        for key, value in upsert.search_attributes.indexed_fields.items():
            put(result.search_attributes.indexed_fields, key, value)
        modified = event.workflow_properties_modified_event_attributes
        for key, value in modified.upserted_memo.fields.items():
            put(result.memo.fields, key, value)


def _fail_task(result: Fork, reset: Reset, now: Timestamp) -> None:
    last = result.kept[-1]
    if last.event_type == _STARTED:
        started_id = last.event_id
        scheduled_id = last.workflow_task_started_event_attributes.scheduled_event_id
    else:
        scheduled_id = next(
            event.event_id
            for event in reversed(result.kept)
            if event.event_type == _SCHEDULED
        )
        started_id = _start_task(result, scheduled_id, now)
    attributes = WorkflowTaskFailedEventAttributes(
        scheduled_event_id=scheduled_id,
        started_event_id=started_id,
        cause=WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
        identity=_IDENTITY,
        base_run_id=reset.base_run_id,
        new_run_id=reset.new_run_id,
    )
    attributes.failure.message = reset.reason
    attributes.failure.reset_workflow_failure_info.SetInParent()
    failed = HistoryEvent(
        event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
        workflow_task_failed_event_attributes=attributes,
    )
    _append(result, failed, now)


def _start_task(result: Fork, scheduled_event_id: int, now: Timestamp) -> int:
    """Start the task of which only the wish is kept: only a started one can fail."""
    started = HistoryEvent(
        event_type=_STARTED,
        workflow_task_started_event_attributes=WorkflowTaskStartedEventAttributes(
            scheduled_event_id=scheduled_event_id,
            identity=_IDENTITY,
            request_id=_EMPTY_UUID,
        ),
    )
    _append(result, started, now)
    return started.event_id


def _admit(result: Fork, event: HistoryEvent, known: set[str], now: Timestamp) -> None:
    """Send an update again, once: it may have been admitted and accepted before."""
    accepted = event.workflow_execution_update_accepted_event_attributes
    admitted = event.workflow_execution_update_admitted_event_attributes
    request = (
        accepted.accepted_request if event.event_type == _ACCEPTED else admitted.request
    )
    if request.meta.update_id in known:
        return
    known.add(request.meta.update_id)
    result.updates.append(request)
    again = HistoryEvent(
        event_type=_ADMITTED,
        workflow_execution_update_admitted_event_attributes=(
            WorkflowExecutionUpdateAdmittedEventAttributes(
                request=request,
                origin=UpdateAdmittedEventOrigin.UPDATE_ADMITTED_EVENT_ORIGIN_REAPPLY,
            )
        ),
    )
    _append(result, again, now)


def _task(start: HistoryEvent) -> HistoryEvent:
    started = start.workflow_execution_started_event_attributes
    return HistoryEvent(
        event_type=_SCHEDULED,
        workflow_task_scheduled_event_attributes=WorkflowTaskScheduledEventAttributes(
            task_queue=started.task_queue,
            start_to_close_timeout=started.workflow_task_timeout,
            attempt=1,
        ),
    )


def _answer(result: Fork, event: HistoryEvent, now: Timestamp) -> None:
    """Tell again what became of what other workflows were asked before the point."""
    again = HistoryEvent()
    again.CopyFrom(event)
    links.to_earlier(again, (*result.kept, *result.added))
    _append(result, again, now)


def _append(result: Fork, event: HistoryEvent, now: Timestamp) -> None:
    event.event_id = len(result.kept) + len(result.added) + 1
    event.task_id = event.event_id
    event.event_time.CopyFrom(now)
    result.added.append(event)
