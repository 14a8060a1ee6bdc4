"""SignalWithStartWorkflowExecution."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    SignalWithStartWorkflowExecutionResponse,
)

from dbosify._service.context import Context
from dbosify._service.signal_with_start import signal_with_start


async def signal_with_start_workflow_execution(
    context: Context, request: SignalWithStartWorkflowExecutionRequest
) -> SignalWithStartWorkflowExecutionResponse:
    """Signal the open run of a workflow id, or start one with the signal."""
    return await signal_with_start(context, request)
