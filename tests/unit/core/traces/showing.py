"""Jobs, events, effects and failures as the words that the tables use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from temporalio.bridge.proto.nexus import NexusOperationResult
from temporalio.bridge.proto.workflow_activation import (
    ResolveChildWorkflowExecutionStart,
    ResolveNexusOperationStart,
    ResolveRequestCancelExternalWorkflow,
    ResolveSignalExternalWorkflow,
)

from dbosify._model import clock
from dbosify._model.effects import (
    AcceptUpdate,
    AskNexusOperation,
    CancelActivity,
    CancelExternal,
    CancelNexusOperation,
    CancelTimer,
    CompleteUpdate,
    Effect,
    RejectUpdate,
    ScheduleActivity,
    SignalExternal,
    StartChild,
    StartTimer,
    UpsertMemo,
    UpsertSearchAttributes,
)
from dbosify._model.protos import (
    ChildWorkflowResult,
    EventType,
    Failure,
    HistoryEvent,
    Payload,
    RetryState,
    StartChildWorkflowExecutionFailedCause,
    TimeoutType,
    WorkflowActivationJob,
)
from tests.unit.core.spelling import BEGAN

_SHORTER = (
    ("WorkflowExecutionUpdate", "Update"),
    ("WorkflowExecution", "Run"),
    ("WorkflowTask", "Task"),
    ("ActivityTask", "Activity"),
    ("UpsertWorkflowSearchAttributes", "Upserted"),
    ("WorkflowPropertiesModified", "MemoModified"),
    ("MarkerRecorded", "Marker"),
    ("NexusOperation", "Nexus"),
)


def job(shown: WorkflowActivationJob) -> str:
    """A job of an activation: what kind, whose, and what it brings."""
    match shown.WhichOneof("variant"):
        case "initialize_workflow":
            return "init"
        case "notify_has_patch":
            return f"patch {shown.notify_has_patch.patch_id}"
        case "fire_timer":
            return f"timer {shown.fire_timer.seq}"
        case "signal_workflow":
            signal = shown.signal_workflow
            words = ["signal", signal.signal_name, *_texts(signal.input)]
            return " ".join([*words, f"@{signal.originating_event_id}"])
        case "cancel_workflow":
            return f"cancel {shown.cancel_workflow.reason}".rstrip()
        case "do_update":
            update = shown.do_update
            words = ["update", update.id, update.name, *_texts(update.input)]
            return " ".join(words if update.run_validator else [*words, "again"])
        case "resolve_activity":
            resolved = shown.resolve_activity
            kind = "local" if resolved.is_local else "activity"
            return f"{kind} {resolved.seq} {_resolution(shown)}"
        case _:
            return _of_others(shown)


def _resolution(shown: WorkflowActivationJob) -> str:
    result = shown.resolve_activity.result
    status = result.WhichOneof("status") or ""
    if status == "backoff":
        delay = clock.seconds(result.backoff.backoff_duration)
        return f"attempt {result.backoff.attempt} is due in {delay:g}"
    if status != "completed":
        return f"{status}: {failure(getattr(result, status).failure)}"
    if not result.completed.HasField("result"):
        return "completed"
    return f"completed {text(result.completed.result)}"


def _of_others(shown: WorkflowActivationJob) -> str:
    """A job that is about another workflow."""
    match shown.WhichOneof("variant"):
        case "resolve_child_workflow_execution_start":
            return _child_start(shown.resolve_child_workflow_execution_start)
        case "resolve_child_workflow_execution":
            child = shown.resolve_child_workflow_execution
            return f"child {child.seq} {_child_result(child.result)}"
        case "resolve_signal_external_workflow":
            delivered = shown.resolve_signal_external_workflow
            return f"signalled {delivered.seq}{_refusal(delivered)}"
        case "resolve_request_cancel_external_workflow":
            passed_on = shown.resolve_request_cancel_external_workflow
            return f"asked to end {passed_on.seq}{_refusal(passed_on)}"
        case "resolve_nexus_operation_start":
            return _nexus_start(shown.resolve_nexus_operation_start)
        case "resolve_nexus_operation":
            resolved = shown.resolve_nexus_operation
            return f"nexus {resolved.seq} {_nexus_result(resolved.result)}"
        case other:
            return f"{other}?"


def _child_start(start: ResolveChildWorkflowExecutionStart) -> str:
    words = f"child start {start.seq} {start.WhichOneof('status')}"
    if start.HasField("succeeded"):
        return f"{words} {start.succeeded.run_id}"
    if start.HasField("cancelled"):
        return f"{words}: {failure(start.cancelled.failure)}"
    cause = StartChildWorkflowExecutionFailedCause.Name(int(start.failed.cause))  # type: ignore[arg-type]
    cause = cause.removeprefix("START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_")
    return f"{words} {cause} {start.failed.workflow_type}/{start.failed.workflow_id}"


def _child_result(result: ChildWorkflowResult) -> str:
    status = result.WhichOneof("status") or ""
    if status != "completed":
        return f"{status}: {failure(getattr(result, status).failure)}"
    if not result.completed.HasField("result"):
        return "completed"
    return f"completed {text(result.completed.result)}"


def _refusal(
    answer: ResolveSignalExternalWorkflow | ResolveRequestCancelExternalWorkflow,
) -> str:
    if not answer.HasField("failure"):
        return ""
    return f" failed {answer.cause}: {failure(answer.failure)}"


def text(payload: Payload) -> str:
    """A payload's JSON."""
    return payload.data.decode()


def _texts(payloads: Iterable[Payload]) -> list[str]:
    return [text(payload) for payload in payloads]


def failure(shown: Failure) -> str:
    """A failure with its causes, outermost first."""
    match shown.WhichOneof("failure_info"):
        case "activity_failure_info":
            info = shown.activity_failure_info
            words = [
                shown.message,
                f"({info.activity_type.name}/{info.activity_id}",
                f"{info.scheduled_event_id}-{info.started_event_id}",
                RetryState.Name(info.retry_state).removeprefix("RETRY_STATE_"),
            ]
            if info.identity:
                words.append(info.identity)
            described = " ".join(words) + ")"
        case "application_failure_info":
            application = shown.application_failure_info
            described = f"{application.type or 'error'} '{shown.message}'"
            if application.non_retryable:
                described += " for good"
        case "timeout_failure_info":
            kind = TimeoutType.Name(shown.timeout_failure_info.timeout_type)
            described = f"{kind.removeprefix('TIMEOUT_TYPE_')} '{shown.message}'"
            described += f" of {shown.source}"
        case "canceled_failure_info":
            details = _texts(shown.canceled_failure_info.details.payloads)
            texts = [f"'{shown.message}'"] if shown.message else []
            described = " ".join(["canceled", *details, *texts])
        case "terminated_failure_info":
            described = f"terminated '{shown.message}'"
        case "child_workflow_execution_failure_info":
            described = _of_child(shown)
        case _:
            described = _of_nexus(shown)
    if shown.HasField("cause"):
        described += f" <- {failure(shown.cause)}"
    return described


def _of_child(shown: Failure) -> str:
    child = shown.child_workflow_execution_failure_info
    state = RetryState.Name(child.retry_state).removeprefix("RETRY_STATE_")
    return (
        f"{shown.message} ({child.workflow_type.name}"
        f"/{child.workflow_execution.workflow_id}"
        f"/{child.workflow_execution.run_id or '-'} of {child.namespace}"
        f" {child.initiated_event_id}-{child.started_event_id} {state})"
    )


def _of_nexus(shown: Failure) -> str:
    if shown.HasField("nexus_handler_failure_info"):
        return f"{shown.nexus_handler_failure_info.type} '{shown.message}'"
    if not shown.HasField("nexus_operation_execution_failure_info"):
        return f"'{shown.message}'"
    info = shown.nexus_operation_execution_failure_info
    return (
        f"{shown.message} ({info.endpoint}/{info.service}/{info.operation}"
        f" {info.scheduled_event_id} {info.operation_token or '-'})"
    )


def _nexus_start(shown: ResolveNexusOperationStart) -> str:
    match shown.WhichOneof("status"):
        case "failed":
            return f"nexus start {shown.seq} failed: {failure(shown.failed)}"
        case "started_sync":
            return f"nexus start {shown.seq} at once"
        case _:
            return f"nexus start {shown.seq} {shown.operation_token}"


def _nexus_result(shown: NexusOperationResult) -> str:
    status = shown.WhichOneof("status") or ""
    if status == "completed":
        return f"completed {text(shown.completed)}"
    return f"{status}: {failure(getattr(shown, status))}"


def history(events: Iterable[HistoryEvent]) -> str:
    """A history; an undisturbed workflow task is one word."""
    words = " ".join(event(each) for each in events)
    return re.sub(r"TaskScheduled TaskStarted TaskCompleted", "Task", words)


def event(shown: HistoryEvent) -> str:
    """The kind of an event, in one word."""
    name = EventType.Name(shown.event_type).removeprefix("EVENT_TYPE_")
    word = "".join(part.capitalize() for part in name.split("_"))
    for long, short in _SHORTER:
        word = word.replace(long, short)
    return word


def _to_other(
    shown: StartChild
    | SignalExternal
    | CancelExternal
    | AskNexusOperation
    | CancelNexusOperation,
) -> str:
    match shown:
        case AskNexusOperation():
            return f"nexus {shown.event.event_id}"
        case CancelNexusOperation():
            return f"cancel nexus {shown.event.event_id}"
        case StartChild():
            return f"child {shown.started.workflow_id} of {shown.event.event_id}"
        case SignalExternal():
            return f"signal of {shown.event.event_id}"
        case CancelExternal():
            return f"cancel of {shown.event.event_id}"


def effect(shown: Effect) -> str:
    """What follows from a turn; moments are seconds since the run began."""
    match shown:
        case ScheduleActivity():
            how = "" if shown.eager_allowed else " by queue"
            return f"activity {shown.event.event_id}{how}"
        case CancelActivity():
            return f"cancel activity {shown.scheduled_event_id}"
        case StartTimer():
            due = round(shown.deadline - BEGAN, 6)
            return f"timer {shown.timer_id} of {shown.started_event_id} at {due:g}"
        case CancelTimer():
            return f"cancel timer {shown.timer_id}"
        case UpsertSearchAttributes():
            return f"attributes {fields(shown.attributes.indexed_fields)}"
        case UpsertMemo():
            return f"memo {fields(shown.memo.fields)}"
        case AcceptUpdate() | CompleteUpdate() | RejectUpdate():
            return _of_update(shown)
    return _to_other(shown)


def _of_update(shown: AcceptUpdate | CompleteUpdate | RejectUpdate) -> str:
    match shown:
        case AcceptUpdate():
            return f"accept {shown.update_id}"
        case RejectUpdate():
            return f"reject {shown.update_id}: {failure(shown.failure)}"
    if shown.outcome.HasField("failure"):
        return f"fail {shown.update_id}: {failure(shown.outcome.failure)}"
    values = _texts(shown.outcome.success.payloads)
    return " ".join(["complete", shown.update_id, *values])


def fields(shown: Mapping[str, Payload] | Any) -> str:
    """Named payloads, by name."""
    return " ".join(f"{name}={text(shown[name])}" for name in sorted(shown))
