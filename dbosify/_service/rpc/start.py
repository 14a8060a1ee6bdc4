"""StartWorkflowExecution: the id's policies, request dedup, and the start event."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from temporalio.api.enums.v1 import (
    TaskQueueKind,
    WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
)
from temporalio.api.errordetails.v1 import WorkflowExecutionAlreadyStartedFailure
from temporalio.api.workflowservice.v1 import (
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)
from temporalio.service import RPCError, RPCStatusCode

from dbosify._model import clock
from dbosify._model.protos import (
    EventType,
    Memo,
    Payload,
    SearchAttributes,
    Timestamp,
    WorkflowExecutionStartedEventAttributes,
    WorkflowExecutionStatus,
)
from dbosify._model.start import first_events
from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._service.ending import find_run, terminate_run
from dbosify._service.run_ids import new_run_id
from dbosify._store import runs
from dbosify._store.runs import Claim, StartRow

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
}
_MAX_TIMEOUT = 3153600000.0
"""A hundred years, in seconds; longer ones are cut as the server cuts them."""
_MAX_TASK_TIMEOUT = 120.0
_DEFAULT_TASK_TIMEOUT = 10.0


async def start_workflow_execution(
    context: Context, request: StartWorkflowExecutionRequest
) -> StartWorkflowExecutionResponse:
    """Start a run, or say what the id's latest run has against it."""
    _apply_policy_defaults(request)
    _check(request)
    request_id = request.request_id or str(uuid.uuid4())
    if request.request_eager_execution:
        await context.around.settled(request.task_queue.name)
    first = _row(context, request, request_id)
    while True:
        owner = None
        if first.backoff == 0:
            owner = context.around.reserve(request.task_queue.name)
        row = replace(first, owner=owner)
        reusable = _REUSABLE[request.workflow_id_reuse_policy]
        started, latest = await runs.start(context.database, row, reusable)
        if started:
            if owner is not None:
                context.around.hand_over(
                    request.task_queue.name,
                    Claim(
                        row.workflow_uuid, row.workflow_id, row.run_id, owner.token, 1
                    ),
                    row.events,
                )
            elif row.backoff == 0:
                context.around.run_queued(request.task_queue.name)
            return _started(context, request, row, eager=owner is not None)
        answer = await _on_existing(context, request, request_id, latest, row.run_id)
        if answer is not None:
            return answer


async def _on_existing(
    context: Context,
    request: StartWorkflowExecutionRequest,
    request_id: str,
    latest: dict[str, Any] | None,
    new_run: str,
) -> StartWorkflowExecutionResponse | None:
    """Apply the policies to the run that was in the way; None means: try again."""
    if latest is None:
        return None
    if latest["start_request_id"] == request_id:
        return _existing(context, request, latest, started=True)
    if latest["close_time"] is not None:
        if latest["status"] in _REUSABLE[request.workflow_id_reuse_policy]:
            return None
        raise _finished(request, latest)
    fresh = await find_run(context, request.workflow_id, latest["run_id"])
    if fresh is None or fresh["close_time"] is not None:
        return None  # cancelled through DBOS, say
    match request.workflow_id_conflict_policy:
        case WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING:
            return _existing(context, request, latest, started=False)
        case WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING:
            await terminate_run(
                context,
                latest["workflow_uuid"],
                reason="TerminateIfRunning WorkflowIdReusePolicy",
                details=Payload(
                    metadata={"encoding": b"json/plain"},
                    data=f'"terminated by new runID: {new_run}"'.encode(),
                ),
                identity="history-service",
            )
            return None
        case _:
            raise _already_started(
                "Workflow execution is already running. WorkflowId:"
                f" {request.workflow_id}, RunId: {latest['run_id']}.",
                latest,
            )


def _finished(
    request: StartWorkflowExecutionRequest, latest: dict[str, Any]
) -> RPCError:
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


def _already_started(message: str, latest: dict[str, Any]) -> RPCError:
    return errors.error(
        RPCStatusCode.ALREADY_EXISTS,
        message,
        WorkflowExecutionAlreadyStartedFailure(
            start_request_id=latest["start_request_id"],
            run_id=latest["run_id"],
            first_execution_run_id=latest["first_run_id"],
        ),
    )


def _started(
    context: Context,
    request: StartWorkflowExecutionRequest,
    row: StartRow,
    *,
    eager: bool,
) -> StartWorkflowExecutionResponse:
    response = StartWorkflowExecutionResponse(
        run_id=row.run_id,
        started=True,
        status=WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
        first_execution_run_id=row.run_id,
    )
    _link(response, context, request.workflow_id)
    if eager and request.request_eager_execution:
        task = response.eager_workflow_task
        task.workflow_execution.workflow_id = request.workflow_id
        task.workflow_execution.run_id = row.run_id
        task.workflow_type.CopyFrom(request.workflow_type)
        task.attempt = 1
    return response


def _existing(
    context: Context,
    request: StartWorkflowExecutionRequest,
    latest: dict[str, Any],
    *,
    started: bool,
) -> StartWorkflowExecutionResponse:
    response = StartWorkflowExecutionResponse(
        run_id=latest["run_id"],
        started=started,
        status=latest["status"],
        first_execution_run_id=latest["first_run_id"],
    )
    _link(response, context, request.workflow_id)
    return response


def _link(
    response: StartWorkflowExecutionResponse, context: Context, workflow_id: str
) -> None:
    event = response.link.workflow_event
    event.namespace = context.namespace
    event.workflow_id = workflow_id
    event.run_id = response.run_id
    event.event_ref.event_id = 1
    event.event_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED


def _row(
    context: Context, request: StartWorkflowExecutionRequest, request_id: str
) -> StartRow:
    now = context.around.now()
    run_id = new_run_id(clock.milliseconds(now))
    started = _start_attributes(request, run_id, now)
    backoff = clock.seconds(request.workflow_start_delay)
    events = first_events(
        started,
        now,
        delayed=backoff > 0,
        metadata=request.user_metadata if request.HasField("user_metadata") else None,
    )
    events[0].links.extend(request.links)
    return StartRow(request.workflow_id, run_id, request_id, events, backoff)


def _start_attributes(
    request: StartWorkflowExecutionRequest, run_id: str, now: Timestamp
) -> WorkflowExecutionStartedEventAttributes:
    started = WorkflowExecutionStartedEventAttributes(
        workflow_type=request.workflow_type,
        input=request.input if request.HasField("input") else None,
        header=request.header if request.HasField("header") else None,
        identity=request.identity,
        original_execution_run_id=run_id,
        first_execution_run_id=run_id,
        attempt=1,
        workflow_id=request.workflow_id,
        first_workflow_task_backoff=request.workflow_start_delay,
        priority=request.priority if request.HasField("priority") else None,
    )
    started.task_queue.name = request.task_queue.name
    started.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    if request.HasField("retry_policy"):
        started.retry_policy.CopyFrom(request.retry_policy)
    memo, attributes = _without_nulls(request)
    if memo.fields:
        started.memo.CopyFrom(memo)
    if attributes.indexed_fields:
        started.search_attributes.CopyFrom(attributes)
    _timeouts(started, request, now)
    return started


def _without_nulls(
    request: StartWorkflowExecutionRequest,
) -> tuple[Memo, SearchAttributes]:
    memo, attributes = Memo(), SearchAttributes()
    for key, payload in request.memo.fields.items():
        if not _is_null(payload):
            memo.fields[key].CopyFrom(payload)
    for key, payload in request.search_attributes.indexed_fields.items():
        if not _is_null(payload) and payload.data != b"[]":
            attributes.indexed_fields[key].CopyFrom(payload)
    return memo, attributes


def _is_null(payload: Payload) -> bool:
    return payload.metadata.get("encoding") == b"binary/null" or payload.data == b"null"


def _timeouts(
    started: WorkflowExecutionStartedEventAttributes,
    request: StartWorkflowExecutionRequest,
    now: Timestamp,
) -> None:
    execution = min(clock.seconds(request.workflow_execution_timeout), _MAX_TIMEOUT)
    run = min(clock.seconds(request.workflow_run_timeout), _MAX_TIMEOUT)
    task = clock.seconds(request.workflow_task_timeout) or _DEFAULT_TASK_TIMEOUT
    if execution > 0:
        run = min(run or execution, execution)
        started.workflow_execution_expiration_time.CopyFrom(
            clock.later(now, clock.duration(execution))
        )
    task = min(task, _MAX_TASK_TIMEOUT, run or task)
    if execution > 0:
        started.workflow_execution_timeout.CopyFrom(clock.duration(execution))
    if run > 0:
        started.workflow_run_timeout.CopyFrom(clock.duration(run))
    started.workflow_task_timeout.CopyFrom(clock.duration(task))


def _apply_policy_defaults(request: StartWorkflowExecutionRequest) -> None:
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
        request.workflow_id_conflict_policy = conflict.WORKFLOW_ID_CONFLICT_POLICY_FAIL


def _check(request: StartWorkflowExecutionRequest) -> None:
    _check_ids(request)
    validate.timeout(
        request.workflow_execution_timeout, "WorkflowExecutionTimeoutSeconds"
    )
    validate.timeout(request.workflow_run_timeout, "WorkflowRunTimeoutSeconds")
    validate.timeout(request.workflow_task_timeout, "WorkflowTaskTimeoutSeconds")
    validate.length(request.request_id, "RequestId")
    _check_policies(request)
    if request.priority.priority_key < 0:
        raise errors.invalid("priority key can't be negative")
    if len(request.priority.fairness_key.encode()) > 64:
        raise errors.invalid("fairness key length exceeds limit")
    if request.priority.fairness_weight < 0:
        raise errors.invalid("must be greater than zero")
    if request.HasField("time_skipping_config"):
        raise errors.unimplemented(
            "The Time-Skipping feature is not enabled for namespace."
        )
    if request.memo.ByteSize() > validate.MAX_BLOB:
        raise errors.invalid("Memo size exceeds limit.")
    validate.blob(request.input)


def _check_ids(request: StartWorkflowExecutionRequest) -> None:
    if not request.workflow_id:
        raise errors.invalid("WorkflowId is not set on request.")
    size = len(request.workflow_id.encode())
    if size > validate.MAX_ID_LENGTH:
        raise errors.invalid(f"WorkflowId exceeds maximum allowed length ({size}/1000)")
    validate.clean(request.workflow_id)
    if request.HasField("retry_policy"):
        validate.retry_policy(request.retry_policy)
    validate.timeout(request.workflow_start_delay, "WorkflowStartDelaySeconds")
    if request.cron_schedule:
        if clock.seconds(request.workflow_start_delay) > 0:
            raise errors.invalid(
                "CronSchedule and WorkflowStartDelay may not be used together."
            )
        raise errors.unimplemented("dbosify does not run cron schedules yet")
    if not request.workflow_type.name:
        raise errors.invalid("WorkflowType is not set on request.")
    validate.length(request.workflow_type.name, "WorkflowType")
    _check_task_queue(request)


def _check_task_queue(request: StartWorkflowExecutionRequest) -> None:
    if not request.HasField("task_queue"):
        raise errors.invalid("taskQueue is not set")
    name = request.task_queue.name
    if not name:
        raise errors.invalid("missing task queue name")
    if len(name.encode()) > validate.MAX_ID_LENGTH:
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
