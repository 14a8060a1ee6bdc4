"""What the server refuses of a schedule, and the form in which it keeps the rest."""

from __future__ import annotations

from temporalio.api.enums.v1 import TaskQueueKind, WorkflowIdReusePolicy
from temporalio.api.schedule.v1 import Schedule
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.service import RPCError, RPCStatusCode

from dbosify._model import limits
from dbosify._model.schedules import spec
from dbosify._model.schedules.ranges import InvalidSpec
from dbosify._model.schedules.scheduler import resolve
from dbosify._store.schedules import ScheduleRow

from . import errors, validate
from .start_checks import check_task_queue
from .zones import zone_of

_PREFIX = "temporal-sys-scheduler:"
"""Temporal runs a schedule as a workflow of this name, which its errors tell."""

_TIMESTAMP_LENGTH = len("-2009-11-10T23:00:00Z")


def schedule_id(value: str) -> str:
    """A schedule id that is there.

    Raises:
        RPCError: it is empty or cannot be stored.
    """
    if not value:
        raise errors.invalid("Can't load workflow execution.  WorkflowId not set.")
    return validate.clean(value)


def new_schedule_id(value: str) -> None:
    """Check the length of an id that is to be.

    Raises:
        RPCError: it is too long.
    """
    _length(len(_PREFIX + value) + len(value.encode()) - len(value))


def not_found(value: str) -> RPCError:
    """There never was such a schedule."""
    return errors.workflow_not_found(_PREFIX + value, "")


def alive(row: ScheduleRow | None, value: str) -> ScheduleRow:
    """A schedule that may still be changed.

    Raises:
        RPCError: it is not there, or deleted.
    """
    if row is None:
        raise not_found(value)
    if row.deleted_at is not None:
        raise errors.already_completed()
    return row


def normalised(schedule: Schedule) -> Schedule:
    """A schedule as it is kept: its spec canonical, its defaults written out.

    Raises:
        RPCError: with the server's text for the first thing wrong.
    """
    result = Schedule()
    result.CopyFrom(schedule)
    try:
        result.spec.CopyFrom(spec.canonical(schedule.spec))
        zone_of(result.spec)
    except InvalidSpec as error:
        raise errors.invalid(f"Invalid schedule spec: {error}") from None
    if schedule.action.HasField("start_workflow"):
        check_action(schedule.action.start_workflow)
        queue = result.action.start_workflow.task_queue
        queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    resolve(result)
    return result


def check_action(action: NewWorkflowExecutionInfo) -> None:
    """Check what a schedule is to start.

    Raises:
        RPCError: with the server's text for the first thing wrong.
    """
    _length(len(action.workflow_id.encode()) + _TIMESTAMP_LENGTH)
    validate.clean(action.workflow_id)
    if not action.workflow_type.name:
        raise errors.invalid("WorkflowType is not set on request.")
    validate.length(action.workflow_type.name, "WorkflowType")
    check_task_queue(action)
    validate.timeout(
        action.workflow_execution_timeout, "WorkflowExecutionTimeoutSeconds"
    )
    validate.timeout(action.workflow_run_timeout, "WorkflowRunTimeoutSeconds")
    validate.timeout(action.workflow_task_timeout, "WorkflowTaskTimeoutSeconds")
    if action.cron_schedule:
        raise errors.invalid("Scheduled workflow must not contain CronSchedule")
    if action.workflow_id_reuse_policy not in (
        WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED,
        WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
    ):
        raise errors.invalid(
            "Scheduled workflow must not contain WorkflowIDReusePolicy"
        )
    validate.blob(action.input)
    if action.memo.ByteSize() > limits.current.memo_bytes:
        raise errors.invalid("Memo size exceeds limit.")


def _length(size: int) -> None:
    most = limits.current.id_bytes
    if size > most:
        raise errors.invalid(
            f"WorkflowId exceeds maximum allowed length ({size}/{most})"
        )


def conflict_token(value: int) -> bytes:
    """The token as clients carry it."""
    return value.to_bytes(8, "big")


def may_update(row: ScheduleRow, token: bytes) -> bool:
    """Whether an update with this token applies; others are dropped without a word."""
    return len(token) != 8 or token == conflict_token(row.record.conflict_token)


def memo_is_fixed() -> RPCError:
    """A schedule's memo never changes."""
    return errors.error(
        RPCStatusCode.FAILED_PRECONDITION,
        "memo updates are not supported on workflow-backed schedules",
    )
