"""Sending an update to a run and waiting for what becomes of it.

The update waits in the inbox until a turn shows it to the workflow; how far it got
stands in a row of its own, written with the turn, that any process may wait at.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any, TypeAlias

from temporalio.api.enums.v1 import (
    ResourceExhaustedCause,
    ResourceExhaustedScope,
)
from temporalio.api.enums.v1 import (
    UpdateWorkflowExecutionLifecycleStage as Stage,
)
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure
from temporalio.api.history.v1 import WorkflowExecutionUpdateAdmittedEventAttributes
from temporalio.api.workflowservice.v1 import (
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)
from temporalio.service import RPCError, RPCStatusCode

from dbosify._model import failures, ids, limits
from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    UpdateOutcome,
    UpdateRequest,
    WorkflowExecutionStatus,
)
from dbosify._store import updates
from dbosify._store.updates import Sent

from . import errors
from .context import Context
from .ending import CANCELLED_BY_DBOS, terminate_run
from .update_checks import ACCEPTED, COMPLETED

Row: TypeAlias = dict[str, Any]

LONG_POLL = 20.0
"""Seconds after which a wait answers with whatever stage was reached."""
_LOOK = 1.0
"""Seconds between looks at the database while hints stay away."""
_CONTINUED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW


@dataclass(frozen=True, slots=True)
class Target:
    """The run that an update is for."""

    workflow_id: str
    run_id: str | None
    first_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an update is."""

    run_id: str
    stage: int
    outcome: UpdateOutcome | None = None
    rejected: bool = False


class Aborted(Exception):
    """The run ended before it took notice of the update.

    Args:
        run_id: of the run.
        continued: whether it went on as a new one.
    """

    def __init__(self, run_id: str, *, continued: bool) -> None:
        super().__init__(run_id)
        self.run_id = run_id
        self.continued = continued

    def error(self) -> RPCError:
        """What the caller is told if nothing can be done about it."""
        if self.continued:
            return _exhausted(
                "workflow operation can not be applied because workflow is closing",
                ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
            )
        return errors.not_found("workflow update was aborted by closing workflow")


def sent(context: Context, request: UpdateWorkflowExecutionRequest) -> Sent:
    """The update of a checked request; it gets an id if it has none."""
    if not request.request.meta.update_id:
        request.request.meta.update_id = str(uuid.uuid4())
    return sent_again(context, request.request)


def sent_again(context: Context, request: UpdateRequest) -> Sent:
    """An update that has its id already."""
    event = HistoryEvent(
        event_time=context.around.now(),
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED,
        workflow_execution_update_admitted_event_attributes=(
            WorkflowExecutionUpdateAdmittedEventAttributes(request=request)
        ),
    )
    return Sent(request.meta.update_id, str(uuid.uuid4()), event)


async def admit(context: Context, target: Target, update: Sent) -> str:
    """Send an update, or join one that the run knows by the same id.

    Returns:
        The id of the run.

    Raises:
        RPCError: there is no such run, or it takes no updates.
    """
    run = await updates.admit(
        context.database,
        target.workflow_id,
        target.run_id,
        update,
        first_run_id=target.first_run_id,
    )
    if run is None:
        raise errors.workflow_not_found(target.workflow_id, target.run_id or "")
    if target.first_run_id and run["first_run_id"] != target.first_run_id:
        raise errors.chain_mismatch()
    if run["inbox"] is not None:
        if run["dbos_status"] == "PENDING":
            context.around.messaged(run["workflow_uuid"])
        else:
            context.around.run_queued(run["queue_name"])
    elif run["stage"] is None or (
        run["close_time"] is not None and run["stage"] < ACCEPTED
    ):
        await _make_good(context, run)
        raise _refusal(run, update.size)
    return str(run["run_id"])


async def _make_good(context: Context, run: Row) -> None:
    """Close a run that DBOS's own `cancel_workflow` has marked."""
    if run["close_time"] is None and run["dbos_status"] == "CANCELLED":
        await terminate_run(
            context, run["workflow_uuid"], reason=CANCELLED_BY_DBOS, identity="dbos"
        )
        run["close_time"] = True


def _refusal(run: Row, size: int) -> RPCError:
    if run["close_time"] is not None:
        return errors.already_completed()
    if run["task_attempt"] >= updates.FAILING_ATTEMPT:
        return errors.not_ready(
            "Unable to perform workflow execution update due to Workflow Task in failed"
            " state."
        )
    most = limits.current
    if run["in_flight"] >= most.updates_in_flight:
        return _exhausted(
            "limit on number of concurrent in-flight updates has been reached"
            f" ({most.updates_in_flight})",
            ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
        )
    if run["bytes_in_flight"] + size > most.update_bytes_in_flight:
        return _exhausted(
            "limit on total payload size of in-flight updates has been reached"
            f" ({most.update_bytes_in_flight} bytes)",
            ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
        )
    return errors.error(
        RPCStatusCode.FAILED_PRECONDITION,
        "The limit on the total number of distinct updates in this workflow has been"
        f" reached ({most.updates_in_all}). Make sure any duplicate updates share an"
        " Update ID so the server can deduplicate them, and consider rejecting updates"
        " that you aren't going to process. You can also Continue-as-New to avoid"
        " this; we recommend you check Continue-as-New Suggested in your Workflow.",
    )


def _exhausted(message: str, cause: ResourceExhaustedCause.ValueType) -> RPCError:
    return errors.error(
        RPCStatusCode.RESOURCE_EXHAUSTED,
        message,
        ResourceExhaustedFailure(
            cause=cause,
            scope=ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_NAMESPACE,
        ),
    )


async def look(
    context: Context, target: Target, update_id: str
) -> tuple[Row, Progress | None]:
    """A run, and how far an update of it is; None if the run does not know it.

    Raises:
        RPCError: there is no such run.
        Aborted: the run has ended before it took notice of the update.
    """
    row = await updates.find(
        context.database, target.workflow_id, target.run_id, update_id
    )
    if row is None:
        raise errors.workflow_not_found(target.workflow_id, target.run_id or "")
    if row["stage"] is None:
        return row, None
    outcome = None
    if row["outcome"] is not None:
        outcome = UpdateOutcome.FromString(row["outcome"])
    stage = row["stage"]
    if row["close_time"] is not None and stage < ACCEPTED:
        raise Aborted(row["run_id"], continued=row["run_status"] == _CONTINUED)
    if row["close_time"] is not None and stage < COMPLETED:
        # Nobody will complete it any more; the row is left as the run left it.
        stage = COMPLETED
        outcome = UpdateOutcome(failure=failures.abandoned_update())
    return row, Progress(row["run_id"], stage, outcome, row["rejected"])


async def outcome(
    context: Context, workflow_uuid: str, update_id: str
) -> UpdateOutcome | None:
    """How an update of a run ended, whichever way; None if it has not."""
    target = Target(ids.workflow_id_of(workflow_uuid), ids.run_id_of(workflow_uuid))
    try:
        _, progress = await look(context, target, update_id)
    except (Aborted, RPCError) as error:
        text = error.error().message if isinstance(error, Aborted) else error.message
        return UpdateOutcome(failure=failures.server(text))
    if progress is None:
        return UpdateOutcome(failure=failures.server("the update was rejected"))
    return progress.outcome


async def reach(
    context: Context, workflow_id: str, run_id: str, update_id: str, stage: int
) -> Progress:
    """Wait until an update of a run has reached a stage.

    Returns:
        How far it got, at the latest after `LONG_POLL`.

    Raises:
        RPCError: the run is gone, or the caller's deadline has passed.
        Aborted: the run has ended before it took notice of the update.
    """
    target = Target(workflow_id, run_id)
    with context.around.watch(ids.workflow_uuid(workflow_id, run_id)) as watch:
        now = asyncio.get_running_loop().time
        end = now() + LONG_POLL
        while True:
            _, progress = await look(context, target, update_id)
            if progress is None:
                raise update_not_found(update_id)
            if progress.stage >= stage:
                return progress
            left = context.time_left(end - now())
            if left <= 0:
                if now() < end:
                    raise errors.deadline_exceeded()
                return progress
            await watch.wait(min(left, _LOOK))


def update_not_found(update_id: str) -> RPCError:
    """The run does not know the update, or has rejected it."""
    return errors.not_found(f'update "{update_id}" not found')


def response(
    context: Context, workflow_id: str, update_id: str, progress: Progress
) -> UpdateWorkflowExecutionResponse:
    """What an update's sender is answered."""
    result = UpdateWorkflowExecutionResponse()
    reference = result.update_ref
    reference.workflow_execution.workflow_id = workflow_id
    reference.workflow_execution.run_id = progress.run_id
    reference.update_id = update_id
    result.stage = Stage.ValueType(progress.stage)
    if progress.outcome is not None:
        result.outcome.CopyFrom(progress.outcome)
    if progress.rejected:
        rejected = result.link.workflow
        rejected.namespace = context.namespace
        rejected.workflow_id = workflow_id
        rejected.run_id = progress.run_id
        rejected.reason = "Update rejected"
    elif progress.stage >= ACCEPTED:
        event = result.link.workflow_event
        event.namespace = context.namespace
        event.workflow_id = workflow_id
        event.run_id = progress.run_id
        event.request_id_ref.event_type = (
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
        )
    return result
