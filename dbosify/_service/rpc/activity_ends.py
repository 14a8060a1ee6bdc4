"""RequestCancel-, Terminate- and DeleteActivityExecution."""

from __future__ import annotations

import uuid
from typing import Any

from temporalio.api.workflowservice.v1 import (
    DeleteActivityExecutionRequest,
    DeleteActivityExecutionResponse,
    RequestCancelActivityExecutionRequest,
    RequestCancelActivityExecutionResponse,
    TerminateActivityExecutionRequest,
    TerminateActivityExecutionResponse,
)

from dbosify._model import standalone as model
from dbosify._model.activity import ActivityRow, AttemptState
from dbosify._service import errors, validate
from dbosify._service.activity_checks import identifier, named
from dbosify._service.context import Context
from dbosify._service.settling import tell_ended
from dbosify._store import activities, standalone
from dbosify._store.engine import Call, Connection, Rows


async def request_cancel_activity_execution(
    context: Context, request: RequestCancelActivityExecutionRequest
) -> RequestCancelActivityExecutionResponse:
    """Ask an activity to end; one that nobody works on ends at once."""
    _check(request)
    async with context.database.transaction() as connection:
        found = await _locked(context, connection, request)
        known = found["cancel_request_id"]
        calls: list[Call] = []
        if known is None or known != request.request_id:
            calls = _cancel(context, request, found)
        stored: Rows = []
        for call in calls:
            stored = await context.database.run(connection, call.name, call.params)
    if len(calls) > 1:
        tell_ended(context.around, found["task_id"], stored)
    return RequestCancelActivityExecutionResponse()


def _cancel(
    context: Context,
    request: RequestCancelActivityExecutionRequest,
    found: dict[str, Any],
) -> list[Call]:
    row = standalone.attempt(found)
    if row is None:
        status = model.NAMES[found["status"]]
        raise errors.failed_precondition(f"activity is in terminal state {status}")
    if found["cancel_request_id"] is not None:
        raise errors.failed_precondition(
            "cancellation already requested with request ID"
            f" {found['cancel_request_id']}"
        )
    asked = standalone.ask_cancel(row.task_id, request.request_id, request.reason)
    if row.state is AttemptState.STARTED:
        return [asked]
    return [asked, _end_canceled(context, request, row)]


def _end_canceled(
    context: Context, request: RequestCancelActivityExecutionRequest, row: ActivityRow
) -> Call:
    progress = row.progress
    worker, progress.identity = progress.identity, request.identity
    machine = context.around.attempt(row)
    machine.cancel(context.around.now().ToNanoseconds() / 1e9)
    assert machine.closing is not None, "nobody works on it"
    status, outcome = model.outcome_of(machine.closing, request.reason)
    progress.identity = worker
    return activities.end_standalone(row, status, outcome)


async def terminate_activity_execution(
    context: Context, request: TerminateActivityExecutionRequest
) -> TerminateActivityExecutionResponse:
    """End an activity; whoever works on it learns that it is gone."""
    _check(request)
    async with context.database.transaction() as connection:
        found = await _locked(context, connection, request)
        row = standalone.attempt(found)
        if row is None:
            _refuse_termination(found, request.request_id)
            return TerminateActivityExecutionResponse()
        outcome = model.terminated(request.reason, request.identity)
        stored: Rows = []
        for call in (
            standalone.note_end(row.task_id, request.request_id),
            activities.end_standalone(row, model.TERMINATED, outcome),
        ):
            stored = await context.database.run(connection, call.name, call.params)
    tell_ended(context.around, found["task_id"], stored)
    return TerminateActivityExecutionResponse()


def _refuse_termination(found: dict[str, Any], request_id: str) -> None:
    ended_by = found["end_request_id"]
    if ended_by is None:
        status = model.NAMES[found["status"]]
        raise errors.failed_precondition(f"invalid transition from {status}")
    if ended_by != request_id:
        raise errors.failed_precondition(
            f"already terminated with request ID {ended_by}"
        )


async def delete_activity_execution(
    context: Context, request: DeleteActivityExecutionRequest
) -> DeleteActivityExecutionResponse:
    """Forget an activity, whatever it is at."""
    async with context.database.transaction() as connection:
        found = await _locked(context, connection, request)
        call = standalone.delete(found["task_id"])
        await context.database.run(connection, call.name, call.params)
    context.around.closed(found["task_id"], None)
    return DeleteActivityExecutionResponse()


def _check(
    request: RequestCancelActivityExecutionRequest | TerminateActivityExecutionRequest,
) -> None:
    named(request.activity_id, request.run_id)
    identifier(request.request_id, "request ID")
    identifier(request.identity, "identity")
    validate.clean(request.reason)
    if not request.request_id:
        request.request_id = str(uuid.uuid4())


async def _locked(
    context: Context,
    connection: Connection,
    request: RequestCancelActivityExecutionRequest
    | TerminateActivityExecutionRequest
    | DeleteActivityExecutionRequest,
) -> dict[str, Any]:
    activity_id, run_id = named(request.activity_id, request.run_id)
    found = await standalone.lock(context.database, connection, activity_id, run_id)
    if found is None:
        raise errors.activity_not_found(activity_id)
    return found
