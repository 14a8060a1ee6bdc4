"""UpdateWorkflowExecutionOptions, and pausing whole workflows, which nobody may.

Temporal's server pauses workflows only in namespaces where an operator has switched
that on; here it is as in all others.
"""

from __future__ import annotations

import uuid

from temporalio.api.workflowservice.v1 import (
    PauseWorkflowExecutionRequest,
    PauseWorkflowExecutionResponse,
    UnpauseWorkflowExecutionRequest,
    UnpauseWorkflowExecutionResponse,
    UpdateWorkflowExecutionOptionsRequest,
    UpdateWorkflowExecutionOptionsResponse,
)
from temporalio.service import RPCStatusCode

from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._service.ending import find_run
from dbosify._service.run_options import change_options, check


async def update_workflow_execution_options(
    context: Context, request: UpdateWorkflowExecutionOptionsRequest
) -> UpdateWorkflowExecutionOptionsResponse:
    """Give an open run other options."""
    execution = request.workflow_execution
    if not execution.workflow_id:
        raise errors.invalid("WorkflowId is not set on request.")
    try:
        uuid.UUID(execution.run_id or str(uuid.UUID(int=0)))
    except ValueError:
        raise errors.invalid("RunId is not valid UUID.") from None
    if not request.HasField("update_mask"):
        raise errors.invalid("UpdateMask is required")
    options = request.workflow_execution_options
    paths = check(options, request.update_mask.paths)
    changed = await change_options(
        context,
        validate.clean(execution.workflow_id),
        execution.run_id or None,
        options,
        paths,
        identity=request.identity,
    )
    return UpdateWorkflowExecutionOptionsResponse(workflow_execution_options=changed)


async def pause_workflow_execution(
    context: Context, request: PauseWorkflowExecutionRequest
) -> PauseWorkflowExecutionResponse:
    """Refused, as by a server that has not been told otherwise."""
    raise errors.unimplemented(
        f"workflow pause is not enabled for namespace: {context.namespace}"
    )


async def unpause_workflow_execution(
    context: Context, request: UnpauseWorkflowExecutionRequest
) -> UnpauseWorkflowExecutionResponse:
    """Refused: no workflow is ever paused."""
    if not request.workflow_id:
        raise errors.invalid("WorkflowId is not set on request.")
    workflow_id = validate.clean(request.workflow_id)
    run_id = validate.clean(request.run_id)
    run = await find_run(context, workflow_id, run_id or None)
    if run is None:
        raise errors.workflow_not_found(workflow_id, run_id)
    if run["close_time"] is not None:
        raise errors.already_completed()
    raise errors.error(RPCStatusCode.FAILED_PRECONDITION, "workflow is not paused.")
