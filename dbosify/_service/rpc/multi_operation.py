"""ExecuteMultiOperation: an update where a run is open, else a start with the update.

A run that is started for its update finds it in its inbox with its first task: both are
written in one transaction. An update that the latest run has answered already is the
answer, whatever the policies say.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy
from temporalio.api.errordetails.v1 import MultiOperationExecutionFailure
from temporalio.api.failure.v1 import MultiOperationExecutionAborted
from temporalio.api.workflowservice.v1 import (
    ExecuteMultiOperationRequest,
    ExecuteMultiOperationResponse,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
    UpdateWorkflowExecutionRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from dbosify._model import clock
from dbosify._model.protos import EventType, WorkflowExecutionStatus
from dbosify._service import errors, start_checks, update_checks, updating, validate
from dbosify._service.context import Context
from dbosify._service.start_row import start_row
from dbosify._service.starting import Begun, begin
from dbosify._service.update_checks import ACCEPTED, COMPLETED
from dbosify._service.updating import Aborted, Progress, Row, Target
from dbosify._store.search_attributes import known_among
from dbosify._store.updates import Sent, admit_first

_RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
_USE_EXISTING = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING


@dataclass(frozen=True, slots=True)
class _Fine:
    """An operation that was done, whatever became of the other."""


@dataclass(frozen=True, slots=True)
class _Both:
    """The two operations, checked."""

    start: StartWorkflowExecutionRequest
    update: UpdateWorkflowExecutionRequest
    tried: bool = False
    """Whether a run was found for the update, and ended without it."""

    @property
    def workflow_id(self) -> str:
        return self.start.workflow_id


async def execute_multi_operation(
    context: Context, request: ExecuteMultiOperationRequest
) -> ExecuteMultiOperationResponse:
    """Update the open run of a workflow id, or start one with the update."""
    both = await _checked(context, request)
    if not both.start.request_id:
        both.start.request_id = str(uuid.uuid4())
    while True:
        update = updating.sent(context, both.update)
        answered = await _answered(context, both, update)
        if answered is not None:
            return answered
        started = StartWorkflowExecutionResponse()
        try:
            started = await _target(context, both, update)
            progress = await updating.reach(
                context,
                both.workflow_id,
                started.run_id,
                update.update_id,
                both.update.wait_policy.lifecycle_stage,
            )
        except Aborted as aborted:
            if started.started or both.tried:
                raise _failure(_Fine(), aborted.error()) from None
            # It was there before and has ended; another run may take the update.
            both = replace(both, tried=True)
        else:
            return _response(context, both, update, started, progress)


async def _answered(
    context: Context, both: _Both, update: Sent
) -> ExecuteMultiOperationResponse | None:
    """The answer of the latest run to an update that it knows well."""
    try:
        run, progress = await updating.look(
            context, Target(both.workflow_id, None), update.update_id
        )
    except (RPCError, Aborted):
        return None  # no run, or one that never saw the update
    if progress is None or progress.rejected or not _knows(run, progress):
        return None
    started = StartWorkflowExecutionResponse(
        run_id=run["run_id"], status=run["run_status"]
    )
    stage = both.update.wait_policy.lifecycle_stage
    if progress.stage < stage:
        progress = await updating.reach(
            context, both.workflow_id, run["run_id"], update.update_id, stage
        )
    response = _response(context, both, update, started, progress)
    # The short way of the server has no links.
    response.responses[0].start_workflow.ClearField("link")
    response.responses[1].update_workflow.ClearField("link")
    return response


def _knows(run: Row, progress: Progress) -> bool:
    """Whether the run has accepted the update, or completed it before it ended."""
    if run["close_time"] is None:
        return progress.stage >= ACCEPTED
    return bool(run["stage"] == COMPLETED)


async def _target(
    context: Context, both: _Both, update: Sent
) -> StartWorkflowExecutionResponse:
    """Start the run that takes the update, or send it to the one that is there."""
    if both.start.workflow_id_conflict_policy == _USE_EXISTING:
        joined = await _join_open(context, both, update)
        if joined is not None:
            return joined
    row = start_row(context, both.start, both.start.request_id)
    try:
        outcome = await begin(
            context, both.start, row, also=[admit_first(row.workflow_uuid, update)]
        )
    except RPCError as error:
        raise _failure(error, None) from None
    if isinstance(outcome, Begun):
        # The worker that was given the run must look into the inbox at once.
        context.around.messaged(row.workflow_uuid)
        return StartWorkflowExecutionResponse(
            run_id=row.run_id,
            first_execution_run_id=row.run_id,
            started=True,
            status=_RUNNING,
        )
    return await _join(context, both, update, outcome.run)


async def _join_open(
    context: Context, both: _Both, update: Sent
) -> StartWorkflowExecutionResponse | None:
    try:
        run, _ = await updating.look(
            context, Target(both.workflow_id, None), update.update_id
        )
    except (RPCError, Aborted):
        return None
    if run["close_time"] is not None:
        return None
    return await _join(context, both, update, run | {"status": run["run_status"]})


async def _join(
    context: Context, both: _Both, update: Sent, run: Row
) -> StartWorkflowExecutionResponse:
    target = Target(both.workflow_id, run["run_id"])
    try:
        await updating.admit(context, target, update)
    except RPCError as error:
        if error.message == errors.already_completed().message:
            raise Aborted(run["run_id"], continued=False) from None
        raise _failure(None, error) from None
    return StartWorkflowExecutionResponse(
        run_id=run["run_id"],
        first_execution_run_id=run["first_run_id"],
        status=run["status"],
    )


def _response(
    context: Context,
    both: _Both,
    update: Sent,
    started: StartWorkflowExecutionResponse,
    progress: Progress,
) -> ExecuteMultiOperationResponse:
    event = started.link.workflow_event
    event.namespace = context.namespace
    event.workflow_id = both.workflow_id
    event.run_id = started.run_id
    event.event_ref.event_id = 1
    event.event_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    response = ExecuteMultiOperationResponse()
    response.responses.add().start_workflow.CopyFrom(started)
    response.responses.add().update_workflow.CopyFrom(
        updating.response(context, both.workflow_id, update.update_id, progress)
    )
    return response


# What is refused.


async def _checked(context: Context, request: ExecuteMultiOperationRequest) -> _Both:
    kinds = [operation.WhichOneof("operation") for operation in request.operations]
    if kinds != ["start_workflow", "update_workflow"]:
        raise errors.invalid("Operations have to be exactly [Start, Update].")
    start = request.operations[0].start_workflow
    update = request.operations[1].update_workflow
    names = start.search_attributes.indexed_fields
    custom = await known_among(context.database, names)
    refused_start = _refused(lambda: _check_start(context, start, custom))
    refused_update = _refused(lambda: _check_update(context, start, update))
    if refused_start is not None or refused_update is not None:
        raise _failure(refused_start, refused_update)
    return _Both(start, update)


def _refused(check: Callable[[], None]) -> RPCError | None:
    try:
        check()
    except RPCError as error:
        return error
    return None


def _check_start(
    context: Context, start: StartWorkflowExecutionRequest, custom: Mapping[str, str]
) -> None:
    _check_namespace(context, start.namespace)
    if start.cron_schedule:
        raise errors.invalid("CronSchedule is not allowed.")
    if start.request_eager_execution:
        raise errors.invalid("RequestEagerExecution is not supported.")
    if clock.seconds(start.workflow_start_delay) > 0:
        raise errors.invalid("WorkflowStartDelay is not supported.")
    start_checks.apply_policy_defaults(start)
    start_checks.check(start, custom, context.namespace)


def _check_update(
    context: Context,
    start: StartWorkflowExecutionRequest,
    update: UpdateWorkflowExecutionRequest,
) -> None:
    _check_namespace(context, update.namespace)
    if update.workflow_execution.workflow_id != start.workflow_id:
        raise errors.invalid("WorkflowId is not consistent with previous operation(s).")
    if update.workflow_execution.run_id:
        raise errors.invalid("RunId is not allowed.")
    if update.first_execution_run_id:
        raise errors.invalid("FirstExecutionRunId is not allowed.")
    update_checks.check(update)
    validate.clean(update.workflow_execution.workflow_id)


def _check_namespace(context: Context, namespace: str) -> None:
    if namespace and namespace != context.namespace:
        raise errors.invalid("Operation namespace did not match request's namespace.")


def _failure(start: RPCError | _Fine | None, update: RPCError | None) -> RPCError:
    """The error of the whole: what each operation came to.

    Args:
        start: its error; None if it was not done because of the other.
        update: the same.
    """
    detail = MultiOperationExecutionFailure()
    decisive = start if isinstance(start, RPCError) else update
    assert decisive is not None, "something was refused"
    for result in (start, update):
        status = detail.statuses.add()
        if isinstance(result, RPCError):
            packed = GrpcStatus.FromString(result.raw_grpc_status)
            status.code = packed.code
            status.message = packed.message
            status.details.extend(packed.details)
        elif result is None:
            status.code = int(RPCStatusCode.ABORTED)
            status.message = "Operation was aborted."
            status.details.add().Pack(MultiOperationExecutionAborted())
    return errors.error(
        decisive.status, "Update-with-Start could not be executed.", detail
    )
