"""Cutting a journal into the workflow tasks that wrote it.

A batch is what one completed workflow task knew and did: the events that were new to
it, and the events its commands became. Failed attempts at a task end no batch; their
new events belong to the attempt that succeeded, as in Temporal's own replay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    WorkflowTaskFailedCause,
)

_COMMAND_EVENTS = frozenset(
    {
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED,
        EventType.EVENT_TYPE_TIMER_STARTED,
        EventType.EVENT_TYPE_TIMER_CANCELED,
        EventType.EVENT_TYPE_MARKER_RECORDED,
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED,
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
        EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED,
        EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUESTED,
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
    }
)

_TASK_EVENTS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    }
)

CLOSING_EVENTS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
    }
)


@dataclass(slots=True)
class Batch:
    """One completed workflow task."""

    news: list[HistoryEvent]
    started: HistoryEvent
    completed: HistoryEvent
    commands: list[HistoryEvent] = field(default_factory=list)


@dataclass(slots=True)
class Past:
    """A journal, cut."""

    batches: list[Batch]
    backlog: list[HistoryEvent]
    """Journaled news that no completed task has seen."""
    scheduled_event_id: int
    """An open WorkflowTaskScheduled event, or 0."""
    attempt: int
    """The attempt that the next workflow task will be."""
    last_event_id: int
    size: int
    closed: bool


def cut(events: Iterable[HistoryEvent]) -> Past:
    """Cut the events of a run, oldest first."""
    past = Past([], [], 0, 1, 0, 0, closed=False)
    started: HistoryEvent | None = None
    commands: list[HistoryEvent] | None = None
    for event in events:
        past.last_event_id = event.event_id
        past.size += event.ByteSize()
        kind = event.event_type
        if kind in CLOSING_EVENTS:
            past.closed = True
        if commands is not None and kind in _COMMAND_EVENTS:
            commands.append(event)
            continue
        commands = None
        if kind == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
            past.scheduled_event_id = event.event_id
        elif kind == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
            started = event
        elif kind == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            assert started is not None, "a completed task was started"
            batch = Batch(past.backlog, started, event)
            past.batches.append(batch)
            commands = batch.commands
            past.backlog = []
            past.scheduled_event_id = 0
            past.attempt = 1
        elif kind in _TASK_EVENTS:
            past.scheduled_event_id = 0
            past.attempt += 1
            if is_reset(event):
                # Not the code's fault, and news to it: random numbers differ from here.
                past.attempt = 1
                past.backlog.append(event)
        elif kind not in CLOSING_EVENTS:
            past.backlog.append(event)
    return past


def is_reset(event: HistoryEvent) -> bool:
    """Whether the event says that the run began as another one, up to here."""
    cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
    return (
        event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        and event.workflow_task_failed_event_attributes.cause == cause
    )
