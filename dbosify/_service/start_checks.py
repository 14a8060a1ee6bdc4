"""What the server fills in and refuses before it starts a workflow, in its order."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    StartActivityExecutionRequest,
    StartWorkflowExecutionRequest,
)

from dbosify._model import clock, cron, limits
from dbosify._model.nexus import SYSTEM_CALLBACK

from . import errors, overrides, validate
from .attributes import settled

_FAIL = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL


def apply_policy_defaults(
    request: StartWorkflowExecutionRequest,
    conflict_policy: WorkflowIdConflictPolicy.ValueType = _FAIL,
) -> None:
    """Fill in what the server takes for policies that are not given.

    Args:
        request: is changed.
        conflict_policy: if neither policy says anything about an open run.
    """
    reuse, conflict = WorkflowIdReusePolicy, WorkflowIdConflictPolicy
    if not request.workflow_id_reuse_policy:
        request.workflow_id_reuse_policy = (
            reuse.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
        )
    terminates = reuse.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING
    if request.workflow_id_conflict_policy:
        return
    if request.workflow_id_reuse_policy == terminates:
        request.workflow_id_reuse_policy = (
            reuse.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
        )
        request.workflow_id_conflict_policy = (
            conflict.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
        )
    else:
        request.workflow_id_conflict_policy = conflict_policy


def check(
    request: StartWorkflowExecutionRequest, custom: Mapping[str, str], namespace: str
) -> None:
    """Check a request whose policies have their defaults.

    Args:
        request: its search attributes get their types.
        custom: the types of the registered attributes among them.
        namespace: in which it is to start.

    Raises:
        RPCError: with the server's text for the first thing wrong.
    """
    _check_ids(request)
    validate.timeout(
        request.workflow_execution_timeout, "WorkflowExecutionTimeoutSeconds"
    )
    validate.timeout(request.workflow_run_timeout, "WorkflowRunTimeoutSeconds")
    validate.timeout(request.workflow_task_timeout, "WorkflowTaskTimeoutSeconds")
    validate.length(request.request_id, "RequestId")
    _check_policies(request)
    if request.search_attributes.indexed_fields:
        attributes = settled(request.search_attributes, custom, namespace)
        request.search_attributes.CopyFrom(attributes)
    validate.priority(request.priority)
    if request.HasField("versioning_override"):
        modern = overrides.at_start(request.versioning_override)
        request.versioning_override.CopyFrom(modern)
    for callback in request.completion_callbacks:
        if callback.nexus.url == SYSTEM_CALLBACK:
            continue
        raise errors.invalid(
            "invalid url: url does not match any configured callback address:"
            f" {callback.nexus.url}"
        )
    if request.HasField("time_skipping_config"):
        raise errors.unimplemented(
            "The Time-Skipping feature is not enabled for namespace."
        )
    if request.memo.ByteSize() > limits.current.memo_bytes:
        raise errors.invalid("Memo size exceeds limit.")
    validate.blob(request.input)


def _check_ids(request: StartWorkflowExecutionRequest) -> None:
    if not request.workflow_id:
        raise errors.invalid("WorkflowId is not set on request.")
    size = len(request.workflow_id.encode())
    most = limits.current.id_bytes
    if size > most:
        raise errors.invalid(
            f"WorkflowId exceeds maximum allowed length ({size}/{most})"
        )
    validate.clean(request.workflow_id)
    if request.HasField("retry_policy"):
        validate.retry_policy(request.retry_policy)
    validate.timeout(request.workflow_start_delay, "WorkflowStartDelaySeconds")
    if request.cron_schedule:
        if clock.seconds(request.workflow_start_delay) > 0:
            raise errors.invalid(
                "CronSchedule and WorkflowStartDelay may not be used together."
            )
        _check_cron(request.cron_schedule)
    if not request.workflow_type.name:
        raise errors.invalid("WorkflowType is not set on request.")
    validate.length(request.workflow_type.name, "WorkflowType")
    check_task_queue(request)


def _check_cron(text: str) -> None:
    try:
        fires = cron.ever_fires(text)
    except cron.BadCron:
        raise errors.invalid("invalid CronSchedule.") from None
    if not fires:
        raise errors.invalid(
            "invalid CronSchedule, no time can be found to satisfy the schedule"
        )


def check_task_queue(
    request: StartWorkflowExecutionRequest
    | NewWorkflowExecutionInfo
    | StartActivityExecutionRequest,
) -> None:
    """Check the task queue on which something is to run.

    Raises:
        RPCError: with the server's text for the first thing wrong.
    """
    if not request.HasField("task_queue"):
        raise errors.invalid("taskQueue is not set")
    name = request.task_queue.name
    if not name:
        raise errors.invalid("missing task queue name")
    if len(name.encode()) > limits.current.id_bytes:
        raise errors.invalid("taskQueue length exceeds limit")
    validate.clean(name)
    if name.startswith("/_sys/"):
        raise errors.invalid("task queue name cannot start with reserved prefix /_sys/")


def _check_policies(request: StartWorkflowExecutionRequest) -> None:
    reuse, conflict = WorkflowIdReusePolicy, WorkflowIdConflictPolicy
    if (
        request.workflow_id_reuse_policy
        == reuse.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING
    ):
        raise errors.invalid(
            "Invalid WorkflowIDReusePolicy:"
            " WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING cannot be used together"
            " with a WorkflowIDConflictPolicy"
        )
    if (
        request.workflow_id_reuse_policy
        == reuse.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
        and request.workflow_id_conflict_policy
        == conflict.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    ):
        raise errors.invalid(
            "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE"
            " cannot be used together with WorkflowIdConflictPolicy"
            " WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING"
        )
    if (
        request.on_conflict_options.attach_completion_callbacks
        and not request.on_conflict_options.attach_request_id
    ):
        raise errors.invalid(
            "attaching request ID is required for attaching completion callbacks"
        )
