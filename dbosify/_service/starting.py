"""Starting a run under the id's policies, whoever asks for it.

The database decides in one statement whether the id is free. Only if it is not, the
policies are applied to the run in the way, and what they leave to do is tried again
until it meets an id that has not changed in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.errordetails.v1 import WorkflowExecutionAlreadyStartedFailure
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode

from dbosify._model.protos import Payload, WorkflowExecutionStatus
from dbosify._store import runs
from dbosify._store.engine import Call, Connection
from dbosify._store.runs import StartRow

from . import errors, overrides
from .context import Context
from .ending import announce, end_run, find_run, termination

Row: TypeAlias = dict[str, Any]

_CONFLICT = WorkflowIdConflictPolicy

_CLOSED = tuple(
    int(status)
    for status in (
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT,
    )
)
REPLACED = "TerminateIfRunning WorkflowIdReusePolicy"
"""The reason of a termination that makes room for another run."""

_UNSUCCESSFUL = tuple(
    int(status)
    for status in (
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT,
    )
)
_REUSABLE = {
    WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE: _CLOSED,
    WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY: (
        _UNSUCCESSFUL
    ),
    WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE: (),
    WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING: _CLOSED,
}


def reusable_statuses(
    policy: WorkflowIdReusePolicy.ValueType,
) -> tuple[int, ...]:
    """In which statuses a closed latest run leaves its id free."""
    return _REUSABLE.get(policy, ())


@dataclass(frozen=True, slots=True)
class Begun:
    """A new run was started."""

    row: StartRow

    @property
    def run_id(self) -> str:
        """Its id."""
        return self.row.run_id


@dataclass(frozen=True, slots=True)
class Found:
    """A run was there, and the policies are content with it."""

    run: Row
    same_request: bool
    """It was started by this very request."""
    attached: bool = False
    """This request has left its id in it."""

    @property
    def known(self) -> bool:
        """Whether this request has been here before."""
        return self.same_request or self.attached

    @property
    def run_id(self) -> str:
        """Its id."""
        return str(self.run["run_id"])


async def begin(
    context: Context,
    request: StartWorkflowExecutionRequest,
    row: StartRow,
    *,
    recognise: bool = True,
    also: Sequence[Call] = (),
) -> Begun | Found:
    """Start `row`, unless the id's latest run and the request's policies forbid it.

    Args:
        context: of the request.
        request: whose policies apply, with their defaults filled in.
        row: the run that is to be.
        recognise: whether a run that this request started or joined is the answer.
        also: statements of the transaction that starts the run.

    Raises:
        RPCError: ALREADY_EXISTS, as the policies say.
    """
    queue = request.task_queue.name
    await overrides.check_served(context.database, request.versioning_override, queue)
    reusable = reusable_statuses(request.workflow_id_reuse_policy)
    start_call = runs.start_call(row, reusable, recognise=recognise)
    if request.request_eager_execution:
        await context.around.settled(queue)
    while True:
        owner = context.around.reserve(row) if row.backoff == 0 else None
        started, owned, latest = await runs.start(
            context.database,
            replace(row, owner=owner),
            reusable,
            recognise=recognise,
            also=also,
        )
        if started:
            begun = Begun(replace(row, owner=owner if owned else None))
            hand_over(context, queue, begun.row)
            return begun
        if latest is None:
            continue  # a race was lost: now there is one
        known = _known(row, latest) if recognise else None
        if known is not None:
            return known
        if not await _in_the_way(context, request, latest):
            continue
        match request.workflow_id_conflict_policy:
            case _CONFLICT.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING:
                return Found(latest, same_request=False)
            case _CONFLICT.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING:
                if await _replace(context, latest, row, [start_call, *also]):
                    hand_over(context, queue, row)
                    return Begun(row)
            case _:
                raise _running(request, latest)


async def begin_in(
    context: Context,
    connection: Connection,
    request: StartWorkflowExecutionRequest,
    row: StartRow,
) -> bool:
    """Start `row` in the caller's transaction if its id is free; nothing is ended.

    The run is queued; after the commit its workers must be told.
    """
    reusable = reusable_statuses(request.workflow_id_reuse_policy)
    call = runs.start_call(row, reusable, recognise=False)
    rows = await context.database.run(connection, call.name, call.params)
    return bool(rows[0]["created"])


def hand_over(context: Context, queue: str, row: StartRow) -> None:
    """Tell of a run that was started: its owner, or the workers of its queue."""
    if row.owner is not None:
        claim = row.claimed_by(row.owner)
        context.around.hand_over(row.owner.queue, claim, row.events)
    else:
        announce(context, row)


def _known(row: StartRow, latest: Row) -> Found | None:
    """The latest run, if this request started or joined it before."""
    if latest["start_request_id"] == row.request_id:
        return Found(latest, same_request=True)
    if latest["attached"]:
        return Found(latest, same_request=False, attached=True)
    return None


async def _in_the_way(
    context: Context, request: StartWorkflowExecutionRequest, latest: Row
) -> bool:
    """Whether the latest run is open; if not, whether another may follow it."""
    if latest["close_time"] is not None:
        if latest["status"] in reusable_statuses(request.workflow_id_reuse_policy):
            return False  # it was closed in the meantime
        raise _finished(request, latest)
    fresh = await find_run(context, request.workflow_id, latest["run_id"])
    if fresh is None:
        await runs.forget(context.database, latest["workflow_uuid"])
        return False
    return fresh["close_time"] is None  # no, if DBOS cancelled it


async def _replace(
    context: Context, latest: Row, row: StartRow, calls: Sequence[Call]
) -> bool:
    """Terminate the latest run and start another in its place, or neither."""
    ending = termination(
        context,
        reason=REPLACED,
        details=Payload(
            metadata={"encoding": b"json/plain"},
            data=f'"terminated by new runID: {row.run_id}"'.encode(),
        ),
        identity="history-service",
    )
    answers = await end_run(context, latest["workflow_uuid"], lambda _: ending, calls)
    return answers is not None and bool(answers[0][0]["created"])


def _running(request: StartWorkflowExecutionRequest, latest: Row) -> RPCError:
    if (
        request.workflow_id_conflict_policy
        != _CONFLICT.WORKFLOW_ID_CONFLICT_POLICY_FAIL
    ):
        return _unknown_policy(request.workflow_id_conflict_policy)
    return _already_started(
        "Workflow execution is already running. WorkflowId:"
        f" {request.workflow_id}, RunId: {latest['run_id']}.",
        latest,
    )


def _finished(request: StartWorkflowExecutionRequest, latest: Row) -> RPCError:
    if request.workflow_id_reuse_policy not in _REUSABLE:
        return _unknown_policy(request.workflow_id_reuse_policy)
    names = f"WorkflowId: {request.workflow_id}, RunId: {latest['run_id']}."
    rejects = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
    if request.workflow_id_reuse_policy == rejects:
        return _already_started(
            f"Workflow execution already finished. {names} Workflow Id reuse policy:"
            " reject duplicate workflow Id.",
            latest,
        )
    return _already_started(
        f"Workflow execution already finished successfully. {names} Workflow Id reuse"
        " policy: allow duplicate workflow Id if last run failed.",
        latest,
    )


def _unknown_policy(number: int) -> RPCError:
    return errors.error(
        RPCStatusCode.INTERNAL, f"there is no policy of the number {number}"
    )


def _already_started(message: str, latest: Row) -> RPCError:
    return errors.error(
        RPCStatusCode.ALREADY_EXISTS,
        message,
        WorkflowExecutionAlreadyStartedFailure(
            start_request_id=latest["start_request_id"],
            run_id=latest["run_id"],
            first_execution_run_id=latest["first_run_id"],
        ),
    )
