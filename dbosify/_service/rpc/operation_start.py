"""StartNexusOperationExecution: a Nexus operation without a workflow."""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import (
    NexusOperationIdConflictPolicy,
    NexusOperationIdReusePolicy,
)
from temporalio.api.errordetails.v1 import NexusOperationExecutionAlreadyStartedFailure
from temporalio.api.workflowservice.v1 import (
    StartNexusOperationExecutionRequest,
    StartNexusOperationExecutionResponse,
)
from temporalio.service import RPCStatusCode

from dbosify._model import ids, nexus
from dbosify._model import standalone_operation as model
from dbosify._model.nexus import NexusOperation
from dbosify._model.protos import EventType, HistoryEvent
from dbosify._service import errors
from dbosify._service.context import Context
from dbosify._service.operation_checks import check
from dbosify._service.run_ids import new_run_id
from dbosify._service.standalone import begin
from dbosify._store import nexus as operations
from dbosify._store import standalone_operations
from dbosify._store.search_attributes import known_among
from dbosify._store.standalone_operations import NewOperation

_REUSE = NexusOperationIdReusePolicy
_CLOSED = (
    model.COMPLETED,
    model.FAILED,
    model.CANCELED,
    model.TERMINATED,
    model.TIMED_OUT,
)
_REUSABLE = {
    _REUSE.NEXUS_OPERATION_ID_REUSE_POLICY_REJECT_DUPLICATE: (),
    _REUSE.NEXUS_OPERATION_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY: _CLOSED[1:],
}
_USE_EXISTING = (
    NexusOperationIdConflictPolicy.NEXUS_OPERATION_ID_CONFLICT_POLICY_USE_EXISTING
)
_COPIED = ("endpoint", "service", "operation")
_COPIED_MESSAGES = (
    "input",
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "start_to_close_timeout",
)


async def start_nexus_operation_execution(
    context: Context, request: StartNexusOperationExecutionRequest
) -> StartNexusOperationExecutionResponse:
    """Start an operation, or say what the latest one of its id has against it."""
    names = request.search_attributes.indexed_fields
    custom = await known_among(context.database, names)
    check(request, custom, context.namespace)
    queue = await _task_queue(context, request.endpoint)
    reusable = _REUSABLE.get(request.id_reuse_policy, _CLOSED)
    new = _new(context, request, queue)
    latest = await begin(
        lambda: standalone_operations.start(context.database, new, reusable),
        request_id=request.request_id,
        reusable=reusable,
    )
    if latest is not None:
        return _existing(request, latest)
    assert new.operation.due_at is not None, "its handler is called at once"
    context.around.nexus_due(queue, new.operation.due_at)
    if new.operation.expires_at is not None:
        context.around.wake_at(new.operation.expires_at)
    return StartNexusOperationExecutionResponse(run_id=new.run_id, started=True)


async def _task_queue(context: Context, endpoint: str) -> str:
    found = await operations.list_endpoints(
        context.database, name=endpoint, after="", limit=1
    )
    if not found:
        raise errors.not_found(f"could not find Nexus endpoint by name: {endpoint}")
    return found[0].spec.target.worker.task_queue


def _existing(
    request: StartNexusOperationExecutionRequest, latest: dict[str, Any]
) -> StartNexusOperationExecutionResponse:
    run_id, started_by = latest["run_id"], latest["start_request_id"]
    joins = latest["close_time"] is None and request.id_conflict_policy == _USE_EXISTING
    if joins or started_by == request.request_id:
        return StartNexusOperationExecutionResponse(run_id=run_id, started=False)
    raise errors.error(
        RPCStatusCode.ALREADY_EXISTS,
        f"nexus operation execution already started: request_id={started_by},"
        f" run_id={run_id}",
        NexusOperationExecutionAlreadyStartedFailure(
            start_request_id=started_by, run_id=run_id
        ),
    )


def _new(
    context: Context, request: StartNexusOperationExecutionRequest, task_queue: str
) -> NewOperation:
    now = context.around.now()
    run_id = new_run_id(now.ToNanoseconds() // 1_000_000)
    # As if a workflow had asked for it, but without a number in a history.
    scheduled = HistoryEvent(
        event_time=now, event_type=EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED
    )
    wanted = scheduled.nexus_operation_scheduled_event_attributes
    for name in _COPIED:
        setattr(wanted, name, getattr(request, name))
    # The handler may keep work apart by it, and clients may repeat theirs.
    wanted.request_id = nexus.request_id(run_id, 0)
    for name in _COPIED_MESSAGES:
        if request.HasField(name):  # type: ignore[arg-type]
            getattr(wanted, name).CopyFrom(getattr(request, name))
    for header, text in request.nexus_header.items():
        wanted.nexus_header[header] = text
    operation = NexusOperation(
        ids.workflow_uuid(request.operation_id, run_id),
        task_queue,
        scheduled,
        nexus.pending(scheduled),
        due_at=now.ToNanoseconds() / 1e9,
    )
    return NewOperation(run_id, request, operation)
