"""ResetWorkflowExecution."""

from __future__ import annotations

import secrets

from temporalio.api.enums.v1 import ResetReapplyExcludeType, ResetReapplyType
from temporalio.api.workflowservice.v1 import (
    ResetWorkflowExecutionRequest,
    ResetWorkflowExecutionResponse,
)
from temporalio.service import RPCStatusCode

from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._service.resetting import Order, reset_run

_ALL = (
    ResetReapplyType.RESET_REAPPLY_TYPE_UNSPECIFIED,
    ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE,
)
_OPERATIONS = {
    "signal_workflow": "*workflow.PostResetOperation_SignalWorkflow_",
    "update_workflow_options": "*workflow.PostResetOperation_UpdateWorkflowOptions_",
    None: "<nil>",
}


async def reset_workflow_execution(
    context: Context, request: ResetWorkflowExecutionRequest
) -> ResetWorkflowExecutionResponse:
    """Let a workflow go on from an earlier point, as a new run."""
    workflow_id, run_id = validate.execution(request.workflow_execution)
    if not request.request_id:
        raise errors.invalid("RequestId is not set on request.")
    validate.length(request.request_id, "RequestId")
    reapply = request.reset_reapply_type
    if reapply not in ResetReapplyType.values():
        # The real server stumbles here, and says so.
        raise errors.error(
            RPCStatusCode.INTERNAL,
            f"something went wrong, please retry ({secrets.token_hex(4)})",
        )
    for operation in request.post_reset_operations:
        kind = _OPERATIONS[operation.WhichOneof("variant")]
        raise errors.invalid(f"unsupported post reset operation: {kind}")
    excluded = request.reset_reapply_exclude_types
    signals = reapply in (*_ALL, ResetReapplyType.RESET_REAPPLY_TYPE_SIGNAL)
    updates = reapply in _ALL
    order = Order(
        workflow_id,
        run_id,
        request.workflow_task_finish_event_id,
        request.reason,
        request.request_id,
        signals=signals
        and ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL not in excluded,
        updates=updates
        and ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE not in excluded,
    )
    return ResetWorkflowExecutionResponse(run_id=await reset_run(context, order))
