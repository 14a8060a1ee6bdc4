"""What must be right about a batch operation before it begins."""

from __future__ import annotations

from temporalio.api.common.v1 import ResetOptions
from temporalio.api.enums.v1 import BatchOperationType, ResetType
from temporalio.api.workflowservice.v1 import StartBatchOperationRequest
from temporalio.service import RPCError

from . import errors, run_options, validate
from .filter.syntax import parse

_TYPE = BatchOperationType
TYPES = {
    "termination_operation": _TYPE.BATCH_OPERATION_TYPE_TERMINATE_WORKFLOW,
    "signal_operation": _TYPE.BATCH_OPERATION_TYPE_SIGNAL_WORKFLOW,
    "cancellation_operation": _TYPE.BATCH_OPERATION_TYPE_CANCEL_WORKFLOW,
    "deletion_operation": _TYPE.BATCH_OPERATION_TYPE_DELETE_WORKFLOW,
    "reset_operation": _TYPE.BATCH_OPERATION_TYPE_RESET_WORKFLOW,
    "update_workflow_options_operation": (
        _TYPE.BATCH_OPERATION_TYPE_UPDATE_WORKFLOW_EXECUTION_OPTIONS
    ),
    "unpause_activities_operation": _TYPE.BATCH_OPERATION_TYPE_UNPAUSE_ACTIVITY,
    "reset_activities_operation": _TYPE.BATCH_OPERATION_TYPE_RESET_ACTIVITY,
    "update_activity_options_operation": (
        _TYPE.BATCH_OPERATION_TYPE_UPDATE_ACTIVITY_OPTIONS
    ),
}
"""What a batch can do, and what it is called."""


def check(request: StartBatchOperationRequest) -> None:
    """Check a request.

    Raises:
        RPCError: with the server's text for the first thing wrong.
    """
    kind = request.WhichOneof("operation")
    chosen = [
        bool(request.visibility_query),
        bool(request.executions),
        bool(request.target_executions),
    ]
    if kind is None or not request.reason or not any(chosen):
        raise errors.invalid(
            "must provide required parameters: BatchType,Reason,Namespace, AND one of"
            " (Query OR Executions OR TargetExecutions)"
        )
    if not request.job_id:
        raise errors.invalid("JobId is not set on request.")
    validate.length(request.job_id, "JobId")
    validate.clean(request.reason)
    if sum(chosen) > 1:
        raise errors.invalid(
            "visibility query, executions, and target executions are mutually exclusive"
        )
    if request.visibility_query:
        _check_query(request.visibility_query)
    for execution in request.executions:
        validate.execution(execution)
    if kind not in TYPES:
        raise errors.unimplemented(f"batches of {kind} are not built yet")
    _check_operation(request, kind)


def _check_query(query: str) -> None:
    # Which attributes there are is asked later, and fails the whole batch.
    try:
        parse(validate.clean(query))
    except RPCError as error:
        reason = error.message.removeprefix("invalid query: ")
        raise errors.invalid(f"invalid visibility query: {reason}") from None


_NO_ACTIVITIES = {
    "unpause_activities_operation": "activity filter must be set",
    "reset_activities_operation": "must provide ActivityType or MatchAll",
    "update_activity_options_operation": (
        "Either activity type must be set, or restore original should be set to true"
    ),
}
"""What is said if an operation on activities does not say on which."""


def _check_operation(request: StartBatchOperationRequest, kind: str) -> None:
    if kind in _NO_ACTIVITIES:
        if getattr(request, kind).WhichOneof("activity") is None:
            raise errors.invalid(_NO_ACTIVITIES[kind])
    elif kind == "signal_operation":
        if not request.signal_operation.signal:
            raise errors.invalid("must provide signal name")
        validate.length(request.signal_operation.signal, "SignalName")
        validate.blob(request.signal_operation.input)
    elif kind == "reset_operation":
        _check_reset(request)
    elif kind == "update_workflow_options_operation":
        changes = request.update_workflow_options_operation
        if not changes.HasField("workflow_execution_options"):
            raise errors.invalid("must provide UpdateOptions")
        run_options.check(changes.workflow_execution_options, changes.update_mask.paths)


def _check_reset(request: StartBatchOperationRequest) -> None:
    wanted = request.reset_operation
    if wanted.HasField("options"):
        if wanted.options.WhichOneof("target") is None:
            raise errors.invalid("batch reset missing target")
        return
    known = (
        ResetType.RESET_TYPE_FIRST_WORKFLOW_TASK,
        ResetType.RESET_TYPE_LAST_WORKFLOW_TASK,
    )
    if wanted.reset_type not in known:
        name = "Unspecified" if wanted.reset_type == 0 else str(wanted.reset_type)
        raise errors.invalid(f"unknown batch reset type {name}")


def reset_options(request: StartBatchOperationRequest) -> ResetOptions:
    """What a batch of resets wants, however it says it."""
    wanted = request.reset_operation
    if wanted.HasField("options"):
        return wanted.options
    result = ResetOptions(reset_reapply_type=wanted.reset_reapply_type)
    if wanted.reset_type == ResetType.RESET_TYPE_FIRST_WORKFLOW_TASK:
        result.first_workflow_task.SetInParent()
    else:
        result.last_workflow_task.SetInParent()
    return result
