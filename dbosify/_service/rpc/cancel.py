"""RequestCancelWorkflowExecution."""

from __future__ import annotations

from temporalio.api.history.v1 import WorkflowExecutionCancelRequestedEventAttributes
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    RequestCancelWorkflowExecutionResponse,
)

from dbosify._model.protos import EventType, HistoryEvent
from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._service.sending import send
from dbosify._store.inboxes import Message


async def request_cancel_workflow_execution(
    context: Context, request: RequestCancelWorkflowExecutionRequest
) -> RequestCancelWorkflowExecutionResponse:
    """Ask a run to end; asking again, or asking a closed run, does nothing."""
    workflow_id, run_id = validate.execution(request.workflow_execution)
    requested = WorkflowExecutionCancelRequestedEventAttributes(
        cause=request.reason, identity=request.identity
    )
    event = HistoryEvent(
        event_time=context.around.now(),
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
        workflow_execution_cancel_requested_event_attributes=requested,
        links=request.links,
    )
    first = validate.clean(request.first_execution_run_id) or None
    message = Message("cancel", [event], cancel=True, first_run_id=first)
    run = await send(context, workflow_id, run_id, message)
    if run is None:
        raise errors.workflow_not_found(workflow_id, run_id or "")
    if first is not None and run["first_run_id"] != first:
        raise errors.chain_mismatch()
    return RequestCancelWorkflowExecutionResponse()
