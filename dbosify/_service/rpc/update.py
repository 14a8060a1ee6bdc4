"""UpdateWorkflowExecution and PollWorkflowExecutionUpdate."""

from __future__ import annotations

from temporalio.api.update.v1 import UpdateRef
from temporalio.api.workflowservice.v1 import (
    PollWorkflowExecutionUpdateRequest,
    PollWorkflowExecutionUpdateResponse,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)

from dbosify._model import ids
from dbosify._service import errors, updating, validate
from dbosify._service.context import Context
from dbosify._service.update_checks import ACCEPTED, check
from dbosify._service.updating import Aborted, Target
from dbosify._store import updates


async def update_workflow_execution(
    context: Context, request: UpdateWorkflowExecutionRequest
) -> UpdateWorkflowExecutionResponse:
    """Send an update and wait until it has reached the stage that was asked for."""
    check(request)
    workflow_id, run_id = validate.execution(request.workflow_execution)
    first = validate.clean(request.first_execution_run_id)
    target = Target(workflow_id, run_id, first or None)
    while True:
        update = updating.sent(context, request)
        admitted_to = await updating.admit(context, target, update)
        if request.request.completion_callbacks:
            uuid = ids.workflow_uuid(workflow_id, admitted_to)
            await updates.call_back(context.database, uuid, request.request)
        try:
            progress = await updating.reach(
                context,
                workflow_id,
                admitted_to,
                update.update_id,
                request.wait_policy.lifecycle_stage,
            )
        except Aborted as aborted:
            if aborted.continued and run_id is None:
                continue  # the run that follows has not heard of it yet
            raise aborted.error() from None
        return updating.response(context, workflow_id, update.update_id, progress)


async def poll_workflow_execution_update(
    context: Context, request: PollWorkflowExecutionUpdateRequest
) -> PollWorkflowExecutionUpdateResponse:
    """Wait until an update has reached the stage that was asked for, if it is known."""
    if not request.HasField("update_ref"):
        raise errors.invalid("UpdateRef is not set on request.")
    reference = request.update_ref
    target = _polled(reference)
    stage = request.wait_policy.lifecycle_stage
    try:
        row, progress = await updating.look(context, target, reference.update_id)
        if progress is None or progress.rejected:
            raise updating.update_not_found(reference.update_id)
        if stage >= ACCEPTED and progress.stage < stage:
            progress = await updating.reach(
                context, target.workflow_id, row["run_id"], reference.update_id, stage
            )
    except Aborted:
        raise updating.update_not_found(reference.update_id) from None
    answer = updating.response(
        context, target.workflow_id, reference.update_id, progress
    )
    result = PollWorkflowExecutionUpdateResponse(
        stage=answer.stage, update_ref=answer.update_ref
    )
    if answer.HasField("outcome"):
        result.outcome.CopyFrom(answer.outcome)
    return result


def _polled(reference: UpdateRef) -> Target:
    """The run of a poll, whose mistakes have texts of their own."""
    execution = reference.workflow_execution
    if not execution.workflow_id:
        raise errors.invalid("Can't load workflow execution.  WorkflowId not set.")
    if execution.run_id and not validate.is_uuid(execution.run_id):
        raise errors.invalid("RunId is not valid UUID.")
    validate.clean(reference.update_id)
    return Target(*validate.execution(execution))
