"""The events that a run begins with."""

from __future__ import annotations

from temporalio.api.history.v1 import WorkflowTaskScheduledEventAttributes

from .protos import (
    EventType,
    HistoryEvent,
    Timestamp,
    UserMetadata,
    WorkflowExecutionStartedEventAttributes,
)


def first_events(
    started: WorkflowExecutionStartedEventAttributes,
    now: Timestamp,
    *,
    delayed: bool,
    metadata: UserMetadata | None = None,
    signal: HistoryEvent | None = None,
) -> list[HistoryEvent]:
    """WorkflowExecutionStarted and, unless the run must wait, its first task.

    Args:
        started: the attributes of the first event.
        now: the database's time.
        delayed: whether the first task comes later.
        metadata: of the first event.
        signal: that the run is started with, if it is.
    """
    event = HistoryEvent(
        event_id=1,
        event_time=now,
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        task_id=1,
        workflow_execution_started_event_attributes=started,
    )
    if metadata is not None:
        event.user_metadata.CopyFrom(metadata)
    events = [event]
    if signal is not None:
        signal.event_id = signal.task_id = 2
        events.append(signal)
    if delayed:
        return events
    number = len(events) + 1
    task = HistoryEvent(
        event_id=number,
        event_time=now,
        event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        task_id=number,
        workflow_task_scheduled_event_attributes=WorkflowTaskScheduledEventAttributes(
            task_queue=started.task_queue,
            start_to_close_timeout=started.workflow_task_timeout,
            attempt=1,
        ),
    )
    return [*events, task]
