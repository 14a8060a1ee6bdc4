"""What a run says to other workflows and hears of them, in few words."""

from __future__ import annotations

from typing import Any

from temporalio.api.history import v1 as events

from dbosify._model.protos import (
    CancelExternalWorkflowExecutionFailedCause,
    ChildWorkflowCancellationType,
    Failure,
    HistoryEvent,
    RetryState,
    SignalExternalWorkflowExecutionFailedCause,
    StartChildWorkflowExecution,
    StartChildWorkflowExecutionFailedCause,
    WorkflowCommand,
    WorkflowExecution,
    WorkflowType,
)
from tests.unit.core.spelling import payload, payloads
from tests.unit.core.traces.news import event

CHILD = "orders/1-c"
CHILD_RUN = "33333333-3333-3333-3333-333333333333"
LAST_RUN = "44444444-4444-4444-4444-444444444444"


def child(
    seq: int,
    *args: object,
    cancellation: str = "WAIT_CANCELLATION_COMPLETED",
    **more: Any,
) -> WorkflowCommand:
    """Start a child."""
    options: dict[str, Any] = {
        "namespace": "default",
        "workflow_id": CHILD,
        "workflow_type": "Child",
        "task_queue": "queue",
        "parent_close_policy": 1,
        "workflow_id_reuse_policy": 1,
        **more,
    }
    command = WorkflowCommand()
    command.start_child_workflow_execution.MergeFrom(
        StartChildWorkflowExecution(
            seq=seq,
            input=[payload(arg) for arg in args],
            cancellation_type=ChildWorkflowCancellationType.Value(cancellation),
            **options,
        )
    )
    return command


def cancel_child(seq: int, reason: str = "") -> WorkflowCommand:
    """Ask for a child's end."""
    command = WorkflowCommand()
    command.cancel_child_workflow_execution.child_workflow_seq = seq
    command.cancel_child_workflow_execution.reason = reason
    return command


def signal_child(seq: int, name: str, *args: object) -> WorkflowCommand:
    """Signal a child."""
    command = signal_other(seq, name, *args)
    command.signal_external_workflow_execution.child_workflow_id = CHILD
    return command


def signal_other(
    seq: int, name: str, *args: object, headers: dict[str, object] | None = None
) -> WorkflowCommand:
    """Signal another workflow."""
    command = WorkflowCommand()
    wanted = command.signal_external_workflow_execution
    wanted.seq = seq
    wanted.signal_name = name
    wanted.args.extend(payload(arg) for arg in args)
    wanted.workflow_execution.namespace = "default"
    wanted.workflow_execution.workflow_id = "other"
    for key, value in (headers or {}).items():
        wanted.headers[key].CopyFrom(payload(value))
    return command


def cancel_signal(seq: int) -> WorkflowCommand:
    """Take a signal back."""
    command = WorkflowCommand()
    command.cancel_signal_workflow.seq = seq
    return command


def cancel_other(seq: int, reason: str = "") -> WorkflowCommand:
    """Ask for another workflow's end."""
    command = WorkflowCommand()
    wanted = command.request_cancel_external_workflow_execution
    wanted.seq = seq
    wanted.reason = reason
    wanted.workflow_execution.namespace = "default"
    wanted.workflow_execution.workflow_id = "other"
    return command


def _about_child(initiated: int, run_id: str) -> dict[str, Any]:
    return {
        "namespace": "default",
        "initiated_event_id": initiated,
        "workflow_execution": WorkflowExecution(workflow_id=CHILD, run_id=run_id),
        "workflow_type": WorkflowType(name="Child"),
    }


def child_started(initiated: int) -> list[HistoryEvent]:
    """The child of event `initiated` runs."""
    attributes = events.ChildWorkflowExecutionStartedEventAttributes(
        **_about_child(initiated, CHILD_RUN)
    )
    return [event("child_workflow_execution_started", attributes)]


def child_refused(initiated: int) -> list[HistoryEvent]:
    """The child's id is taken."""
    cause = StartChildWorkflowExecutionFailedCause
    attributes = events.StartChildWorkflowExecutionFailedEventAttributes(
        namespace="default",
        initiated_event_id=initiated,
        workflow_id=CHILD,
        workflow_type=WorkflowType(name="Child"),
        cause=cause.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS,
    )
    return [event("start_child_workflow_execution_failed", attributes)]


def child_completed(initiated: int, *result: object) -> list[HistoryEvent]:
    """The child returned, maybe in a later run."""
    attributes = events.ChildWorkflowExecutionCompletedEventAttributes(
        result=payloads(*result) if result else None,
        **_about_child(initiated, LAST_RUN),
    )
    return [event("child_workflow_execution_completed", attributes)]


def child_failed(initiated: int, failure: Failure) -> list[HistoryEvent]:
    """The child failed for good."""
    attributes = events.ChildWorkflowExecutionFailedEventAttributes(
        failure=failure,
        retry_state=RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET,
        **_about_child(initiated, CHILD_RUN),
    )
    return [event("child_workflow_execution_failed", attributes)]


def child_timed_out(initiated: int) -> list[HistoryEvent]:
    """The child ran out of time."""
    attributes = events.ChildWorkflowExecutionTimedOutEventAttributes(
        retry_state=RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET,
        **_about_child(initiated, CHILD_RUN),
    )
    return [event("child_workflow_execution_timed_out", attributes)]


def child_terminated(initiated: int) -> list[HistoryEvent]:
    """Somebody terminated the child."""
    attributes = events.ChildWorkflowExecutionTerminatedEventAttributes(
        **_about_child(initiated, CHILD_RUN)
    )
    return [event("child_workflow_execution_terminated", attributes)]


def child_canceled(initiated: int) -> list[HistoryEvent]:
    """The child ended as it was asked to."""
    attributes = events.ChildWorkflowExecutionCanceledEventAttributes(
        **_about_child(initiated, CHILD_RUN)
    )
    return [event("child_workflow_execution_canceled", attributes)]


def signaled(initiated: int) -> list[HistoryEvent]:
    """The signal of event `initiated` is delivered."""
    attributes = events.ExternalWorkflowExecutionSignaledEventAttributes(
        initiated_event_id=initiated
    )
    return [event("external_workflow_execution_signaled", attributes)]


def not_signaled(
    initiated: int, cause: str = "EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
) -> list[HistoryEvent]:
    """The signal could not be delivered."""
    prefix = "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_"
    attributes = events.SignalExternalWorkflowExecutionFailedEventAttributes(
        initiated_event_id=initiated,
        cause=SignalExternalWorkflowExecutionFailedCause.Value(prefix + cause),
    )
    return [event("signal_external_workflow_execution_failed", attributes)]


def asked_to_end(initiated: int) -> list[HistoryEvent]:
    """The cancel request of event `initiated` is passed on."""
    attributes = events.ExternalWorkflowExecutionCancelRequestedEventAttributes(
        initiated_event_id=initiated
    )
    return [event("external_workflow_execution_cancel_requested", attributes)]


def not_asked_to_end(
    initiated: int, cause: str = "EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
) -> list[HistoryEvent]:
    """There was nobody to pass the cancel request on to."""
    prefix = "CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_"
    attributes = events.RequestCancelExternalWorkflowExecutionFailedEventAttributes(
        initiated_event_id=initiated,
        cause=CancelExternalWorkflowExecutionFailedCause.Value(prefix + cause),
    )
    return [event("request_cancel_external_workflow_execution_failed", attributes)]
