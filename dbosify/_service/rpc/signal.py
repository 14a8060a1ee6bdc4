"""SignalWorkflowExecution."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    SignalWorkflowExecutionRequest,
    SignalWorkflowExecutionResponse,
)

from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._service.sending import send
from dbosify._service.signal_event import message_id, signal_event, signal_link
from dbosify._store.inboxes import Message


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
    payloads = request.input if request.HasField("input") else None
    event = signal_event(request, payloads, context.around.now())
    message = Message(message_id(request.request_id), [event])
    run = await send(context, workflow_id, run_id, message)
    if run is None:
        raise errors.workflow_not_found(workflow_id, run_id or "")
    if run["inbox"] is None and not run["duplicates"]:
        raise errors.already_completed()
    response = SignalWorkflowExecutionResponse()
    signal_link(
        response.link,
        namespace=context.namespace,
        workflow_id=workflow_id,
        run_id=run["run_id"],
        request_id=request.request_id,
    )
    return response
