"""The children of a run, as its history tells of them, and what their end means to it.

Which children are open follows from the events alone, so that whoever closes a run (its
workflow, a termination, a timeout) knows whom its end concerns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .links import CHILD_CLOSED
from .protos import (
    EventType,
    HistoryEvent,
    WorkflowExecutionStartedEventAttributes,
)

_INITIATED = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
_STARTED = EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED
_REFUSED = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED
_ABOUT_CHILDREN = frozenset({_INITIATED, _STARTED, _REFUSED, *CHILD_CLOSED})


@dataclass(slots=True)
class Child:
    """A child whose end the run does not know."""

    initiated: HistoryEvent
    run_id: str = ""
    """Of its first run; empty until it is started."""


class Children:
    """The open children of a run, by the events that asked for them."""

    def __init__(self, events: Iterable[HistoryEvent] = ()) -> None:
        self.open: dict[int, Child] = {}
        for event in events:
            self.learn(event)

    def learn(self, event: HistoryEvent) -> None:
        """Take the next event of the run's history."""
        if event.event_type not in _ABOUT_CHILDREN:
            return
        if event.event_type == _INITIATED:
            self.open[event.event_id] = Child(event)
            return
        attributes = getattr(event, event.WhichOneof("attributes") or "")
        number = attributes.initiated_event_id
        if event.event_type == _STARTED:
            if number in self.open:
                self.open[number].run_id = attributes.workflow_execution.run_id
        else:
            self.open.pop(number, None)


_OUTCOMES: dict[EventType.ValueType, tuple[EventType.ValueType, tuple[str, ...]]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: (
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED,
        ("result",),
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: (
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED,
        ("failure", "retry_state"),
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: (
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED,
        ("details",),
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: (
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED,
        (),
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: (
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT,
        ("retry_state",),
    ),
}


def report(
    started: WorkflowExecutionStartedEventAttributes, run_id: str, closing: HistoryEvent
) -> HistoryEvent:
    """What the parent's history tells of the end of a child.

    Args:
        started: the start of the run that ends, the last one of its chain.
        run_id: of that run.
        closing: its last event.
    """
    kind, copied = _OUTCOMES[closing.event_type]
    event = HistoryEvent(event_type=kind, event_time=closing.event_time)
    name = EventType.Name(kind).removeprefix("EVENT_TYPE_").lower()
    attributes: Any = getattr(event, f"{name}_event_attributes")
    source: Any = getattr(closing, closing.WhichOneof("attributes") or "")
    present = {field.name: value for field, value in source.ListFields()}
    for field in copied:
        if field == "retry_state":
            attributes.retry_state = source.retry_state
        elif field in present:
            getattr(attributes, field).CopyFrom(present[field])
    attributes.namespace = started.parent_workflow_namespace
    attributes.workflow_execution.workflow_id = started.workflow_id
    attributes.workflow_execution.run_id = run_id
    attributes.workflow_type.CopyFrom(started.workflow_type)
    attributes.initiated_event_id = started.parent_initiated_event_id
    return event
