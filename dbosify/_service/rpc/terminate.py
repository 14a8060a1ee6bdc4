"""TerminateWorkflowExecution."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    TerminateWorkflowExecutionRequest,
    TerminateWorkflowExecutionResponse,
)

from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._service.ending import find_run, terminate_run


async def terminate_workflow_execution(
    context: Context, request: TerminateWorkflowExecutionRequest
) -> TerminateWorkflowExecutionResponse:
    """End a run at once, without asking it."""
    workflow_id, run_id = validate.execution(request.workflow_execution)
    run = await find_run(context, workflow_id, run_id)
    if run is None:
        raise errors.workflow_not_found(workflow_id, run_id or "")
    first = request.first_execution_run_id
    if first and run["first_run_id"] != first:
        raise errors.chain_mismatch()
    ended = run["close_time"] is None and await terminate_run(
        context,
        run["workflow_uuid"],
        reason=request.reason or "terminated by user via frontend",
        details=request.details if request.HasField("details") else None,
        identity=request.identity,
    )
    if not ended:
        if run["close_time"] is None and run_id is None:
            # It closed in the meantime, and may go on in another run.
            return await terminate_workflow_execution(context, request)
        raise errors.already_completed()
    return TerminateWorkflowExecutionResponse()
