"""A signal as history and the inbox know it, whichever request brought it."""

from __future__ import annotations

import uuid
from typing import TypeAlias

from temporalio.api.common.v1 import Link
from temporalio.api.history.v1 import WorkflowExecutionSignaledEventAttributes
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
)

from dbosify._model.protos import EventType, HistoryEvent, Payloads, Timestamp

SignalRequest: TypeAlias = (
    SignalWorkflowExecutionRequest | SignalWithStartWorkflowExecutionRequest
)


def signal_event(
    request: SignalRequest, payloads: Payloads | None, now: Timestamp
) -> HistoryEvent:
    """The WorkflowExecutionSignaled event, still without a number."""
    return HistoryEvent(
        event_time=now,
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        links=request.links,
        workflow_execution_signaled_event_attributes=(
            WorkflowExecutionSignaledEventAttributes(
                signal_name=request.signal_name,
                identity=request.identity,
                request_id=request.request_id,
                input=payloads,
                header=request.header if request.HasField("header") else None,
            )
        ),
    )


def message_id(request_id: str) -> str:
    """The message by which a run knows a signal again."""
    return f"signal::{request_id or uuid.uuid4()}"


def signal_link(
    link: Link, *, namespace: str, workflow_id: str, run_id: str, request_id: str
) -> None:
    """Make `link` lead to the event of a signal."""
    event = link.workflow_event
    event.namespace = namespace
    event.workflow_id = workflow_id
    event.run_id = run_id
    event.request_id_ref.request_id = request_id
    event.request_id_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
