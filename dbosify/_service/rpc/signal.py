"""SignalWorkflowExecution."""

from __future__ import annotations

import uuid

from temporalio.api.history.v1 import WorkflowExecutionSignaledEventAttributes
from temporalio.api.workflowservice.v1 import (
    SignalWorkflowExecutionRequest,
    SignalWorkflowExecutionResponse,
)

from dbosify._model.protos import EventType, HistoryEvent
from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._service.sending import send
from dbosify._store.runs import Message


async def signal_workflow_execution(
    context: Context, request: SignalWorkflowExecutionRequest
) -> SignalWorkflowExecutionResponse:
    """Put a signal into the inbox of an open run."""
    workflow_id, run_id = validate.execution(request.workflow_execution)
    if not request.signal_name:
        raise errors.invalid("SignalName is not set on request.")
    validate.length(request.signal_name, "SignalName")
    validate.length(request.request_id, "RequestId")
    validate.blob(request.input)
    signaled = WorkflowExecutionSignaledEventAttributes(
        signal_name=request.signal_name,
        identity=request.identity,
        request_id=request.request_id,
        input=request.input if request.HasField("input") else None,
        header=request.header if request.HasField("header") else None,
    )
    event = HistoryEvent(
        event_time=context.around.now(),
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        workflow_execution_signaled_event_attributes=signaled,
        links=request.links,
    )
    message_id = f"signal::{request.request_id or uuid.uuid4()}"
    run = await send(context, workflow_id, run_id, Message(message_id, [event]))
    if run is None:
        raise errors.workflow_not_found(workflow_id, run_id or "")
    if run["inbox"] is None and not run["duplicates"]:
        raise errors.already_completed()
    response = SignalWorkflowExecutionResponse()
    link = response.link.workflow_event
    link.namespace = context.namespace
    link.workflow_id = workflow_id
    link.run_id = run["run_id"]
    link.request_id_ref.request_id = request.request_id
    link.request_id_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    return response
