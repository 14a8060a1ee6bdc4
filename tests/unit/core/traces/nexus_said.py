"""What a run asks of Nexus and hears of it, in few words."""

from __future__ import annotations

from typing import Any

from temporalio.api.history import v1 as events

from dbosify._model import failures
from dbosify._model.protos import (
    Failure,
    HistoryEvent,
    NexusOperationCancellationType,
    ScheduleNexusOperation,
    TimeoutType,
    WorkflowCommand,
)
from tests.unit.core.spelling import payload
from tests.unit.core.traces.news import event

_NAMES: dict[str, Any] = {"endpoint": "EP", "service": "Svc", "operation": "hello"}


def operation(
    seq: int,
    *,
    cancellation: str = "WAIT_CANCELLATION_COMPLETED",
    **more: Any,
) -> WorkflowCommand:
    """Ask for an operation."""
    command = WorkflowCommand()
    command.schedule_nexus_operation.MergeFrom(
        ScheduleNexusOperation(
            seq=seq,
            cancellation_type=NexusOperationCancellationType.Value(cancellation),
            **{**_NAMES, **more},
        )
    )
    return command


def cancel_operation(seq: int) -> WorkflowCommand:
    """Ask for an operation's end."""
    command = WorkflowCommand()
    command.request_cancel_nexus_operation.seq = seq
    return command


def _failed(scheduled: int, cause: Failure, token: str) -> Failure:
    return failures.nexus_operation(
        "nexus operation completed unsuccessfully",
        scheduled_event_id=scheduled,
        token=token,
        cause=cause,
        **_NAMES,
    )


def begun(scheduled: int, token: str = "t") -> list[HistoryEvent]:
    """The handler has begun."""
    attributes = events.NexusOperationStartedEventAttributes(
        scheduled_event_id=scheduled, operation_token=token
    )
    return [event("nexus_operation_started", attributes)]


def completed(scheduled: int, result: object) -> list[HistoryEvent]:
    """The operation returned."""
    attributes = events.NexusOperationCompletedEventAttributes(
        scheduled_event_id=scheduled, result=payload(result)
    )
    return [event("nexus_operation_completed", attributes)]


def failed(scheduled: int, cause: Failure, token: str = "") -> list[HistoryEvent]:
    """The operation failed."""
    attributes = events.NexusOperationFailedEventAttributes(
        scheduled_event_id=scheduled, failure=_failed(scheduled, cause, token)
    )
    return [event("nexus_operation_failed", attributes)]


def canceled(scheduled: int, token: str = "") -> list[HistoryEvent]:
    """The operation ended as it was asked to."""
    cause = failures.canceled()
    cause.message = "operation canceled"
    attributes = events.NexusOperationCanceledEventAttributes(
        scheduled_event_id=scheduled, failure=_failed(scheduled, cause, token)
    )
    return [event("nexus_operation_canceled", attributes)]


def timed_out(scheduled: int, token: str = "") -> list[HistoryEvent]:
    """The operation ran out of time."""
    cause = Failure(message="operation timed out")
    cause.timeout_failure_info.timeout_type = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
    attributes = events.NexusOperationTimedOutEventAttributes(
        scheduled_event_id=scheduled, failure=_failed(scheduled, cause, token)
    )
    return [event("nexus_operation_timed_out", attributes)]


def cancel_passed_on(scheduled: int, requested: int) -> list[HistoryEvent]:
    """The handler was asked to cancel."""
    attributes = events.NexusOperationCancelRequestCompletedEventAttributes(
        scheduled_event_id=scheduled, requested_event_id=requested
    )
    return [event("nexus_operation_cancel_request_completed", attributes)]


def cancel_refused(scheduled: int, requested: int) -> list[HistoryEvent]:
    """The handler would not cancel."""
    refused = Failure(message="no")
    refused.nexus_handler_failure_info.type = "BAD_REQUEST"
    attributes = events.NexusOperationCancelRequestFailedEventAttributes(
        scheduled_event_id=scheduled, requested_event_id=requested, failure=refused
    )
    return [event("nexus_operation_cancel_request_failed", attributes)]
