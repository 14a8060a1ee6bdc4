"""RequestCancel-, Terminate- and DeleteNexusOperationExecution."""

from __future__ import annotations

import uuid

from temporalio.api.workflowservice.v1 import (
    DeleteNexusOperationExecutionRequest,
    DeleteNexusOperationExecutionResponse,
    RequestCancelNexusOperationExecutionRequest,
    RequestCancelNexusOperationExecutionResponse,
    TerminateNexusOperationExecutionRequest,
    TerminateNexusOperationExecutionResponse,
)

from dbosify._model import standalone_operation as model
from dbosify._model.nexus import NexusOperation
from dbosify._model.protos import EventType, HistoryEvent
from dbosify._service import errors
from dbosify._service.activity_checks import identifier
from dbosify._service.context import Context
from dbosify._service.operation_checks import named
from dbosify._service.standalone import Row
from dbosify._store import nexus as operations
from dbosify._store import standalone_operations
from dbosify._store.engine import Connection


async def request_cancel_nexus_operation_execution(
    context: Context, request: RequestCancelNexusOperationExecutionRequest
) -> RequestCancelNexusOperationExecutionResponse:
    """Ask an operation to end; its handler is told once it has begun."""
    _check(request)
    async with context.database.transaction() as connection:
        found, operation = await _held(context, connection, request)
        known = found["cancel_request_id"]
        if known is not None and known == request.request_id:
            return RequestCancelNexusOperationExecutionResponse()
        if operation is None:
            raise errors.failed_precondition("operation already completed")
        if known is not None:
            raise errors.failed_precondition(
                f"cancellation already requested with request ID {known}"
            )
        now = context.around.now()
        asked = HistoryEvent(
            event_time=now,
            event_type=EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUESTED,
        )
        asked.nexus_operation_cancel_requested_event_attributes.SetInParent()
        calls = context.around.nexus_calls(operation)
        calls.ask_cancel(now.ToNanoseconds() / 1e9, asked)
        await operations.save(connection, context.database, operation)
        await standalone_operations.note(
            connection,
            context.database,
            operation.key,
            cancel=(request.request_id, request.reason),
        )
    if operation.due_at is not None:
        context.around.nexus_due(operation.task_queue, operation.due_at)
    return RequestCancelNexusOperationExecutionResponse()


async def terminate_nexus_operation_execution(
    context: Context, request: TerminateNexusOperationExecutionRequest
) -> TerminateNexusOperationExecutionResponse:
    """End an operation; its handler does not learn of it."""
    _check(request)
    async with context.database.transaction() as connection:
        found, operation = await _held(context, connection, request)
        if operation is None:
            _refuse_termination(found, request.request_id)
            return TerminateNexusOperationExecutionResponse()
        await standalone_operations.note(
            connection,
            context.database,
            operation.key,
            news=model.terminated(request.reason, request.identity),
            info=operation.info,
            end_request_id=request.request_id,
        )
        await operations.drop(connection, context.database, operation.key)
    context.around.closed(operation.key, None)
    return TerminateNexusOperationExecutionResponse()


def _refuse_termination(found: Row, request_id: str) -> None:
    ended_by = found["end_request_id"]
    if ended_by is None:
        state = model.STATES[found["status"]]
        raise errors.failed_precondition(f"invalid transition from {state}")
    if ended_by != request_id:
        raise errors.failed_precondition(
            f"already terminated with request ID {ended_by}"
        )


async def delete_nexus_operation_execution(
    context: Context, request: DeleteNexusOperationExecutionRequest
) -> DeleteNexusOperationExecutionResponse:
    """Forget an operation, whatever it is at."""
    async with context.database.transaction() as connection:
        found, _ = await _held(context, connection, request)
        key = found["operation_key"]
        await standalone_operations.delete(connection, context.database, key)
    context.around.closed(key, None)
    return DeleteNexusOperationExecutionResponse()


def _check(
    request: RequestCancelNexusOperationExecutionRequest
    | TerminateNexusOperationExecutionRequest,
) -> None:
    named(request.operation_id, request.run_id)
    for name in ("request_id", "identity", "reason"):
        identifier(getattr(request, name), name)
    if not request.request_id:
        request.request_id = str(uuid.uuid4())


async def _held(
    context: Context,
    connection: Connection,
    request: RequestCancelNexusOperationExecutionRequest
    | TerminateNexusOperationExecutionRequest
    | DeleteNexusOperationExecutionRequest,
) -> tuple[Row, NexusOperation | None]:
    """An operation under the lock of its calls; those are None if it is over."""
    operation_id, run_id = named(request.operation_id, request.run_id)
    database = context.database
    found = await standalone_operations.find(database, operation_id, run_id, connection)
    if found is not None:
        key, run_id = found["operation_key"], found["run_id"]
        operation = await operations.lock(connection, database, key)
        # What it was before the lock may have changed while we waited.
        found = await standalone_operations.find(
            database, operation_id, run_id, connection
        )
    if found is None:
        raise errors.operation_not_found(operation_id)
    return found, operation
