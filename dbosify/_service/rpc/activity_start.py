"""StartActivityExecution: an activity without a workflow."""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import (
    ActivityIdConflictPolicy,
    ActivityIdReusePolicy,
    TaskQueueKind,
)
from temporalio.api.errordetails.v1 import ActivityExecutionAlreadyStartedFailure
from temporalio.api.workflowservice.v1 import (
    StartActivityExecutionRequest,
    StartActivityExecutionResponse,
)
from temporalio.service import RPCError, RPCStatusCode

from dbosify._model import clock, ids
from dbosify._model import standalone as model
from dbosify._model.activity import ActivityRow, AttemptState, Progress
from dbosify._model.policies import settle_timeouts
from dbosify._model.protos import EventType, HistoryEvent
from dbosify._service import errors
from dbosify._service.activity_checks import check
from dbosify._service.context import Context
from dbosify._service.run_ids import new_run_id
from dbosify._service.standalone import begin
from dbosify._store import standalone
from dbosify._store.search_attributes import known_among
from dbosify._store.standalone import NewActivity

_REUSE = ActivityIdReusePolicy
_CLOSED = (
    model.COMPLETED,
    model.FAILED,
    model.CANCELED,
    model.TERMINATED,
    model.TIMED_OUT,
)
_REUSABLE = {
    _REUSE.ACTIVITY_ID_REUSE_POLICY_REJECT_DUPLICATE: (),
    _REUSE.ACTIVITY_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY: _CLOSED[1:],
}
_USE_EXISTING = ActivityIdConflictPolicy.ACTIVITY_ID_CONFLICT_POLICY_USE_EXISTING


async def start_activity_execution(
    context: Context, request: StartActivityExecutionRequest
) -> StartActivityExecutionResponse:
    """Start an activity, or say what the latest one of its id has against it."""
    names = request.search_attributes.indexed_fields
    custom = await known_among(context.database, names)
    check(request, custom, context.namespace)
    reusable = _REUSABLE.get(request.id_reuse_policy, _CLOSED)
    new = _new(context, request)
    latest = await begin(
        lambda: standalone.start(context.database, new, reusable),
        request_id=request.request_id,
        reusable=reusable,
    )
    if latest is not None:
        return _existing(context, request, latest)
    _wake(context, new)
    return _response(context, request, new.run_id, started=True)


def _existing(
    context: Context, request: StartActivityExecutionRequest, latest: dict[str, Any]
) -> StartActivityExecutionResponse:
    joins = latest["close_time"] is None and request.id_conflict_policy == _USE_EXISTING
    if joins or latest["start_request_id"] == request.request_id:
        return _response(context, request, latest["run_id"], started=False)
    raise _already_started(latest)


def _already_started(latest: dict[str, Any]) -> RPCError:
    return errors.error(
        RPCStatusCode.ALREADY_EXISTS,
        "activity execution already started",
        ActivityExecutionAlreadyStartedFailure(
            start_request_id=latest["start_request_id"], run_id=latest["run_id"]
        ),
    )


def _wake(context: Context, new: NewActivity) -> None:
    if new.execution_time > new.start_time:
        context.around.wake_at(new.execution_time / 1e9)
    else:
        queue = new.request.task_queue.name
        context.around.run_queued(ids.activity_queue(queue))
    if new.deadline is not None:
        context.around.wake_at(new.deadline)


def _new(context: Context, request: StartActivityExecutionRequest) -> NewActivity:
    now = context.around.now().ToNanoseconds()
    begins = now + clock.duration_nanoseconds(request.start_delay)
    run_id = new_run_id(now // 1_000_000)
    scheduled = _scheduled(request, begins)
    options = scheduled.activity_task_scheduled_event_attributes
    for field in (
        "schedule_to_close_timeout",
        "schedule_to_start_timeout",
        "start_to_close_timeout",
        "heartbeat_timeout",
    ):
        getattr(request, field).CopyFrom(getattr(options, field))
    state = AttemptState.BACKOFF if begins > now else AttemptState.SCHEDULED
    row = ActivityRow(
        task_id=ids.standalone_task_id(request.activity_id, run_id),
        workflow_uuid="",
        workflow_id="",
        run_id=run_id,
        workflow_type="",
        scheduled=scheduled,
        progress=Progress(1, begins / 1e9),
        state=state,
        executor_id=None,
        token=None,
        eager=False,
    )
    deadline = context.around.attempt(row).deadline
    return NewActivity(run_id, request, scheduled, now, begins, deadline)


def _scheduled(request: StartActivityExecutionRequest, begins: int) -> HistoryEvent:
    """The event that a workflow's history would have of it; its timeouts count then."""
    event = HistoryEvent(
        event_time=clock.timestamp(begins),
        event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    )
    attributes = event.activity_task_scheduled_event_attributes
    attributes.activity_id = request.activity_id
    attributes.activity_type.CopyFrom(request.activity_type)
    attributes.task_queue.name = request.task_queue.name
    attributes.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    attributes.retry_policy.CopyFrom(request.retry_policy)
    for field in ("header", "input", "priority"):
        if request.HasField(field):
            getattr(attributes, field).CopyFrom(getattr(request, field))
    settle_timeouts(attributes, request, within=0)
    return event


def _response(
    context: Context,
    request: StartActivityExecutionRequest,
    run_id: str,
    *,
    started: bool,
) -> StartActivityExecutionResponse:
    response = StartActivityExecutionResponse(run_id=run_id, started=started)
    link = response.link.activity
    link.namespace = context.namespace
    link.activity_id = request.activity_id
    link.run_id = run_id
    return response
