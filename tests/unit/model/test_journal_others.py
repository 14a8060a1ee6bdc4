"""The names of steps that are about other workflows."""

from __future__ import annotations

import pytest
from temporalio.api.history import v1 as events

from dbosify._model.journal import Names
from dbosify._model.protos import EventType, HistoryEvent, WorkflowType


def initiated() -> list[HistoryEvent]:
    """A child, a signal and a cancel request: events 5, 6 and 7."""
    child = HistoryEvent(
        event_id=5,
        event_type=EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
    )
    options = child.start_child_workflow_execution_initiated_event_attributes
    options.workflow_type.name = "Ship"
    signal = HistoryEvent(
        event_id=6,
        event_type=EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
    )
    sent = signal.signal_external_workflow_execution_initiated_event_attributes
    sent.signal_name = "go"
    sent.workflow_execution.workflow_id = "other"
    cancel = HistoryEvent(
        event_id=7,
        event_type=(
            EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
        ),
    )
    asked = cancel.request_cancel_external_workflow_execution_initiated_event_attributes
    asked.workflow_execution.workflow_id = "other"
    return [child, signal, cancel]


STARTED = HistoryEvent(
    event_type=EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED,
    child_workflow_execution_started_event_attributes=(
        events.ChildWorkflowExecutionStartedEventAttributes(
            initiated_event_id=5, workflow_type=WorkflowType(name="Ship")
        )
    ),
)
COMPLETED = HistoryEvent(
    event_type=EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED,
    child_workflow_execution_completed_event_attributes=(
        events.ChildWorkflowExecutionCompletedEventAttributes(initiated_event_id=5)
    ),
)
SIGNALED = HistoryEvent(
    event_type=EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED,
    external_workflow_execution_signaled_event_attributes=(
        events.ExternalWorkflowExecutionSignaledEventAttributes(initiated_event_id=6)
    ),
)
REFUSED = HistoryEvent(
    event_type=EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
    request_cancel_external_workflow_execution_failed_event_attributes=(
        events.RequestCancelExternalWorkflowExecutionFailedEventAttributes(
            initiated_event_id=7
        )
    ),
)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (STARTED, "child Ship started"),
        (COMPLETED, "child Ship"),
        (SIGNALED, "signal go to other"),
        (REFUSED, "cancel other"),
    ],
)
def test_an_answer_of_another_workflow_names_it(event: HistoryEvent, name: str) -> None:
    names = Names()
    for each in initiated():
        names.learn(each)
    assert names.of(event) == name
