"""ResetWorkflowExecution."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from temporalio.api.enums.v1 import ResetReapplyExcludeType, ResetReapplyType
from temporalio.api.workflow.v1 import PostResetOperation, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    ResetWorkflowExecutionRequest,
    ResetWorkflowExecutionResponse,
)
from temporalio.service import RPCStatusCode

from dbosify._service import errors, run_options, validate
from dbosify._service.context import Context
from dbosify._service.resetting import Order, reset_run

_ALL = (
    ResetReapplyType.RESET_REAPPLY_TYPE_UNSPECIFIED,
    ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE,
)
_UNSUPPORTED = {
    "signal_workflow": "*workflow.PostResetOperation_SignalWorkflow_",
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
    options = None
    for operation in request.post_reset_operations:
        options = _options(operation)
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
        options=options,
        identity=request.identity,
    )
    return ResetWorkflowExecutionResponse(run_id=await reset_run(context, order))


def _options(
    operation: PostResetOperation,
) -> tuple[WorkflowExecutionOptions, Sequence[str]]:
    """The options that the new run is to have, checked, and which of them."""
    kind = operation.WhichOneof("variant")
    if kind != "update_workflow_options":
        raise errors.invalid(f"unsupported post reset operation: {_UNSUPPORTED[kind]}")
    wanted = operation.update_workflow_options
    options = wanted.workflow_execution_options
    return options, run_options.check(options, wanted.update_mask.paths)
