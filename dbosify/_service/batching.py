"""Doing a batch operation: what it wants done to one run, and one step of it.

Whoever takes it up holds its row's lock for a step. A step that breaks off is done
again; what it had done already then does nothing more, because requests of a batch have
ids of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from temporalio.api.history.v1 import (
    WorkflowExecutionCancelRequestedEventAttributes,
    WorkflowExecutionSignaledEventAttributes,
)
from temporalio.api.workflowservice.v1 import StartBatchOperationRequest
from temporalio.service import RPCError, RPCStatusCode

from dbosify._model.protos import EventType, HistoryEvent
from dbosify._store import batches, journal, search_attributes
from dbosify._store.batches import Batch, Target
from dbosify._store.engine import Connection
from dbosify._store.inboxes import Message

from . import activity_options, errors, listing, operating
from .batch_checks import reset_options
from .context import Context
from .deleting import delete_run
from .ending import find_run, terminate_run
from .filter.meaning import understand
from .operating import Change, Which, operate
from .resetting import Order, reset_run
from .run_options import change_options
from .sending import send
from .signal_event import message_id

logger = logging.getLogger(__name__)

Request: TypeAlias = StartBatchOperationRequest
_Do: TypeAlias = Callable[[Context, Request, dict[str, Any]], Awaitable[object]]

IDENTITY = "batcher"
STEP = 10
"""Runs in a step: as many as one may have to wait for who wants to stop it."""
RATE = 50.0
"""Runs in a second, unless the request says otherwise."""


async def step(context: Context, connection: Connection) -> float | None:
    """Do a step of some batch operation.

    Returns:
        Seconds to wait before the next, so that the rate is kept; None if there is
        nothing to do.
    """
    batch = await batches.due(connection, context.database)
    if batch is None:
        return None
    if batch.targets is None:
        await _ask(context, batch)
    done = 0
    if batch.targets is not None:
        some = batch.targets[batch.position : batch.position + STEP]
        for target in some:
            batch.failures += not await _do(context, batch.request, target)
        done = len(some)
        batch.position += done
        if batch.position >= len(batch.targets):
            batch.state = batches.COMPLETED
    await batches.save(connection, context.database, batch)
    return done / (batch.request.max_operations_per_second or RATE)


async def _ask(context: Context, batch: Batch) -> None:
    """Find the runs that a query means, all of them, before the first is touched."""
    try:
        known = await search_attributes.known(context.database)
        meant = understand(batch.request.visibility_query, known)
    except RPCError as error:
        logger.info("batch %s has a query of no meaning: %s", batch.job_id, error)
        batch.state = batches.FAILED
        return
    found: list[Target] = []
    token = b""
    while True:
        infos, token = await listing.page(
            context,
            meant.condition,
            all_divisions=meant.names_division,
            size=0,
            token=token,
        )
        found.extend((i.execution.workflow_id, i.execution.run_id) for i in infos)
        if not token:
            break
    batch.targets, batch.asked = found, True


async def _do(context: Context, request: Request, target: Target) -> bool:
    """Do what is wanted to one run; False if that failed."""
    workflow_id, run_id = target
    try:
        run = await find_run(context, workflow_id, run_id or None)
        if run is not None:
            await _OPERATIONS[request.WhichOneof("operation") or ""](
                context, request, run
            )
    except RPCError as error:
        # A run that is gone or over by now is no failure.
        return error.status == RPCStatusCode.NOT_FOUND
    return True


async def _terminate(context: Context, request: Request, run: dict[str, Any]) -> None:
    wanted = request.termination_operation
    await terminate_run(
        context,
        run["workflow_uuid"],
        reason=request.reason,
        details=wanted.details if wanted.HasField("details") else None,
        identity=IDENTITY,
    )


async def _cancel(context: Context, request: Request, run: dict[str, Any]) -> None:
    attributes = WorkflowExecutionCancelRequestedEventAttributes(
        cause=request.reason, identity=request.cancellation_operation.identity
    )
    event = HistoryEvent(
        event_time=context.around.now(),
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
        workflow_execution_cancel_requested_event_attributes=attributes,
    )
    message = Message("cancel", [event], cancel=True)
    await send(context, run["workflow_id"], run["run_id"], message)


async def _signal(context: Context, request: Request, run: dict[str, Any]) -> None:
    wanted = request.signal_operation
    attributes = WorkflowExecutionSignaledEventAttributes(
        signal_name=wanted.signal,
        identity=wanted.identity,
        request_id=request.job_id,
        input=wanted.input if wanted.HasField("input") else None,
        header=wanted.header if wanted.HasField("header") else None,
    )
    event = HistoryEvent(
        event_time=context.around.now(),
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        workflow_execution_signaled_event_attributes=attributes,
    )
    message = Message(message_id(request.job_id), [event])
    await send(context, run["workflow_id"], run["run_id"], message)


async def _delete(context: Context, request: Request, run: dict[str, Any]) -> None:
    await delete_run(context, run["workflow_id"], run["run_id"], IDENTITY)


async def _reset(context: Context, request: Request, run: dict[str, Any]) -> None:
    latest = await find_run(context, run["workflow_id"], None)
    request_id = f"{request.job_id}/{run['run_id']}"
    if latest is not None and latest["start_request_id"] == request_id:
        return  # a step that broke off has done it
    options = reset_options(request)
    loaded = await journal.load(context.database, run["workflow_uuid"])
    point = _point(loaded.events if loaded is not None else [], options)
    kinds = options.reset_reapply_exclude_types
    reapply = options.reset_reapply_type
    order = Order(
        run["workflow_id"],
        run["run_id"],
        point,
        request.reason,
        request_id,
        signals=reapply in (0, 1, 3) and 1 not in kinds,
        updates=reapply in (0, 3) and 2 not in kinds,
    )
    await reset_run(context, order)


def _point(events: Sequence[HistoryEvent], options: Any) -> int:
    """Where a run is to be reset to."""
    completed = [
        event.event_id
        for event in events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    match options.WhichOneof("target"):
        case "workflow_task_id":
            return int(options.workflow_task_id)
        case "first_workflow_task" if completed:
            return completed[0]
        case "last_workflow_task" if completed:
            return completed[-1]
        case _:
            raise errors.invalid("no workflow task to reset to")


async def _change_options(
    context: Context, request: Request, run: dict[str, Any]
) -> None:
    wanted = request.update_workflow_options_operation
    await change_options(
        context,
        run["workflow_id"],
        run["run_id"],
        wanted.workflow_execution_options,
        activity_options.paths_of(wanted.update_mask.paths),
        identity=wanted.identity,
    )


async def _unpause(context: Context, request: Request, run: dict[str, Any]) -> None:
    wanted = request.unpause_activities_operation
    change = operating.unpausing(
        attempts=wanted.reset_attempts,
        heartbeat=wanted.reset_heartbeat,
        jitter=wanted.jitter,
    )
    await _operate(context, run, wanted, change)


async def _begin_anew(context: Context, request: Request, run: dict[str, Any]) -> None:
    wanted = request.reset_activities_operation
    original = None
    if wanted.restore_original_options:
        original = await operating.original_options(
            context, run["workflow_id"], run["run_id"]
        )
    change = operating.resetting(
        heartbeat=wanted.reset_heartbeat,
        keep_paused=wanted.keep_paused,
        jitter=wanted.jitter,
        original=original,
    )
    await _operate(context, run, wanted, change)


async def _change_activities(
    context: Context, request: Request, run: dict[str, Any]
) -> None:
    wanted = request.update_activity_options_operation
    if wanted.restore_original:
        change = operating.restoring(
            await operating.original_options(context, run["workflow_id"], run["run_id"])
        )
    else:
        paths = activity_options.paths_of(wanted.update_mask.paths)
        change = activity_options.changing(wanted.activity_options, paths)
    await _operate(context, run, wanted, change)


async def _operate(
    context: Context, run: dict[str, Any], wanted: Any, change: Change
) -> None:
    which = Which(activity_type=wanted.type, all=wanted.match_all)
    await operate(context, run["workflow_id"], run["run_id"], which, change)


_OPERATIONS: Mapping[str, _Do] = {
    "termination_operation": _terminate,
    "signal_operation": _signal,
    "cancellation_operation": _cancel,
    "deletion_operation": _delete,
    "reset_operation": _reset,
    "update_workflow_options_operation": _change_options,
    "unpause_activities_operation": _unpause,
    "reset_activities_operation": _begin_anew,
    "update_activity_options_operation": _change_activities,
}
