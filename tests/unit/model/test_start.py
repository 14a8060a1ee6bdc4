"""The events that a run begins with."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    Payload,
    TaskQueue,
    Timestamp,
    UserMetadata,
    WorkflowExecutionStartedEventAttributes,
)
from dbosify._model.start import first_events

NOW = Timestamp(seconds=1_700_000_000)
STARTED = WorkflowExecutionStartedEventAttributes(
    workflow_id="w",
    task_queue=TaskQueue(name="queue"),
    workflow_task_timeout=Duration(seconds=7),
)


def test_a_run_begins_with_its_start_and_its_first_task() -> None:
    started, task = first_events(STARTED, NOW, delayed=False)
    assert [started.event_id, task.event_id] == [1, 2]
    assert [started.task_id, task.task_id] == [1, 2]
    assert [started.event_time, task.event_time] == [NOW, NOW]
    assert [started.event_type, task.event_type] == [
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    ]
    assert started.workflow_execution_started_event_attributes == STARTED
    scheduled = task.workflow_task_scheduled_event_attributes
    assert scheduled.task_queue.name == "queue"
    assert scheduled.start_to_close_timeout == Duration(seconds=7)
    assert scheduled.attempt == 1


def test_a_run_that_must_wait_has_no_task_yet() -> None:
    (started,) = first_events(STARTED, NOW, delayed=True)
    assert started.event_id == 1


def test_a_start_may_be_explained() -> None:
    metadata = UserMetadata(summary=Payload(data=b"why"))
    started, _ = first_events(STARTED, NOW, delayed=False, metadata=metadata)
    assert started.user_metadata == metadata
    plain, _ = first_events(STARTED, NOW, delayed=False)
    assert not plain.HasField("user_metadata")


def test_a_signal_that_comes_with_the_start_stands_before_the_first_task() -> None:
    signal = HistoryEvent(event_time=NOW)
    events = first_events(STARTED, NOW, delayed=False, signal=signal)
    assert [event.event_id for event in events] == [1, 2, 3]
    assert events[1] is signal
    waiting = first_events(STARTED, NOW, delayed=True, signal=HistoryEvent())
    assert [event.event_id for event in waiting] == [1, 2]
