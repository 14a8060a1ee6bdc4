"""Numbers in events that only the run knows to which the events come.

Whoever closes an activity or a child tells which event opened it. The event in between,
that it was started, got its number in the run's history.
"""

from __future__ import annotations

from collections.abc import Sequence

from .protos import EventType, HistoryEvent

CHILD_CLOSED = frozenset(
    {
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT,
    }
)


def to_started(event: HistoryEvent, started_event_id: int) -> None:
    """Point the close of a child at the event that it was started."""
    if event.event_type in CHILD_CLOSED:
        attributes = getattr(event, event.WhichOneof("attributes") or "")
        attributes.started_event_id = started_event_id


def to_earlier(event: HistoryEvent, before: Sequence[HistoryEvent]) -> None:
    """Point the close of an activity or a child at its start, if that is in `before`.

    Args:
        event: any event.
        before: what happened earlier, numbered.
    """
    if event.event_type in CHILD_CLOSED:
        _to_started_child(event, before)
        return
    name = event.WhichOneof("attributes")
    if not before or name in (None, "activity_task_started_event_attributes"):
        return
    previous = before[-1]
    if previous.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
        return
    attributes = getattr(event, name or "")
    started = previous.activity_task_started_event_attributes
    if getattr(attributes, "scheduled_event_id", 0) == started.scheduled_event_id:
        attributes.started_event_id = previous.event_id


def _to_started_child(event: HistoryEvent, before: Sequence[HistoryEvent]) -> None:
    attributes = getattr(event, event.WhichOneof("attributes") or "")
    for earlier in reversed(before):
        started = earlier.child_workflow_execution_started_event_attributes
        if (
            earlier.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED
            and started.initiated_event_id == attributes.initiated_event_id
        ):
            attributes.started_event_id = earlier.event_id
            return
