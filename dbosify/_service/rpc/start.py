"""StartWorkflowExecution."""

from __future__ import annotations

import uuid

from temporalio.api.workflowservice.v1 import (
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)

from dbosify._model.protos import EventType, WorkflowExecutionStatus
from dbosify._service.context import Context
from dbosify._service.start_checks import apply_policy_defaults, check
from dbosify._service.start_row import start_row
from dbosify._service.starting import Begun, Found, begin


async def start_workflow_execution(
    context: Context, request: StartWorkflowExecutionRequest
) -> StartWorkflowExecutionResponse:
    """Start a run, or say what the id's latest run has against it."""
    apply_policy_defaults(request)
    check(request)
    request_id = request.request_id or str(uuid.uuid4())
    row = start_row(context, request, request_id)
    outcome = await begin(context, request, row)
    if isinstance(outcome, Begun):
        response = _begun(request, outcome)
    else:
        response = _found(outcome)
    event = response.link.workflow_event
    event.namespace = context.namespace
    event.workflow_id = request.workflow_id
    event.run_id = response.run_id
    event.event_ref.event_id = 1
    event.event_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    return response


def _begun(
    request: StartWorkflowExecutionRequest, begun: Begun
) -> StartWorkflowExecutionResponse:
    response = StartWorkflowExecutionResponse(
        run_id=begun.run_id,
        started=True,
        status=WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
        first_execution_run_id=begun.run_id,
    )
    if begun.row.owner is not None and request.request_eager_execution:
        task = response.eager_workflow_task
        task.workflow_execution.workflow_id = request.workflow_id
        task.workflow_execution.run_id = begun.run_id
        task.workflow_type.CopyFrom(request.workflow_type)
        task.attempt = 1
    return response


def _found(found: Found) -> StartWorkflowExecutionResponse:
    return StartWorkflowExecutionResponse(
        run_id=found.run_id,
        started=found.same_request,
        status=found.run["status"],
        first_execution_run_id=found.run["first_run_id"],
    )
