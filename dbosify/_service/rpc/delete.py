"""DeleteWorkflowExecution."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DeleteWorkflowExecutionResponse,
)

from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._service.deleting import delete_run


async def delete_workflow_execution(
    context: Context, request: DeleteWorkflowExecutionRequest
) -> DeleteWorkflowExecutionResponse:
    """Delete a run, also one that is open."""
    if not request.HasField("workflow_execution"):
        raise errors.invalid("Execution is not set on request.")
    workflow_id, run_id = validate.execution(request.workflow_execution)
    await delete_run(context, workflow_id, run_id, "delete")
    return DeleteWorkflowExecutionResponse()
