"""What the server refuses about an update before it looks for the workflow."""

from __future__ import annotations

from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage
from temporalio.api.errordetails.v1 import PermissionDeniedFailure
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionRequest
from temporalio.service import RPCStatusCode

from . import errors, validate

_STAGE = UpdateWorkflowExecutionLifecycleStage
_UNSPECIFIED = _STAGE.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_UNSPECIFIED
ADMITTED = _STAGE.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED
ACCEPTED = _STAGE.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED
COMPLETED = _STAGE.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED


def check(request: UpdateWorkflowExecutionRequest) -> None:
    """Check a request; the stage that it waits for gets its default.

    Raises:
        RPCError: with the server's text for the first thing wrong.
    """
    validate.execution(request.workflow_execution)
    update = request.request
    if not update.HasField("meta"):
        raise errors.invalid("Update meta is not set on request.")
    validate.length(update.meta.update_id, "UpdateId")
    if not update.HasField("input"):
        raise errors.invalid("Update input is not set on request.")
    if not update.input.name:
        raise errors.invalid("Update name is not set on request.")
    validate.blob(update.input.args)
    policy = request.wait_policy
    if policy.lifecycle_stage == _UNSPECIFIED:
        policy.lifecycle_stage = COMPLETED
    if policy.lifecycle_stage == ADMITTED:
        raise errors.error(
            RPCStatusCode.PERMISSION_DENIED,
            "UpdateWorkflowExecution issued asynchronously and waiting on update"
            " admitted is not supported.",
            PermissionDeniedFailure(),
        )
