"""DescribeWorkflowExecution: a run's row, its journal's end, and what it waits for."""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import (
    CallbackState,
    PendingActivityState,
    PendingWorkflowTaskState,
    TaskQueueKind,
)
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
)

from dbosify._model import callbacks, clock
from dbosify._model.activity import ActivityRow, AttemptState
from dbosify._model.children import Children
from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    Memo,
    WorkflowExecutionStartedEventAttributes,
)
from dbosify._model.search_attributes import with_paused
from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._service.ending import find_run
from dbosify._service.run_options import priority_of, versioning_of
from dbosify._service.whole_history import events_of
from dbosify._store import activities, inboxes, journal, nexus, runs

_GO_ZERO_TIME = -62135596800
"""Seconds of the year 1, which Temporal shows for a run without a run timeout."""


async def describe_workflow_execution(
    context: Context, request: DescribeWorkflowExecutionRequest
) -> DescribeWorkflowExecutionResponse:
    """Everything about a run that is not its history."""
    workflow_id, run_id = validate.execution(request.execution)
    run = await find_run(context, workflow_id, run_id)
    if run is None:
        raise errors.workflow_not_found(workflow_id, run_id or "")
    loaded = await journal.load(context.database, run["workflow_uuid"])
    assert loaded is not None, "the run was found"
    events = loaded.events
    if run["close_time"] is None and run["inbox"] > 0:
        events, _ = await events_of(context, run)
    start_event = events[0]
    started = start_event.workflow_execution_started_event_attributes
    response = DescribeWorkflowExecutionResponse()
    _config(response, run, start_event)
    _info(response, run, started, events)
    _extended_info(response, run, events)
    await _pending_children(context, response, run, loaded.events)
    if run["close_time"] is None:
        _pending_task(response, run, loaded.events)
        await _pending_activities(context, response, run)
        for operation in await nexus.of_run(context.database, run["workflow_uuid"]):
            response.pending_nexus_operations.append(operation.info)
    _callbacks(response, run, events)
    _versioning(response, events)
    return response


def _versioning(
    response: DescribeWorkflowExecutionResponse, events: list[HistoryEvent]
) -> None:
    """Show which version of a worker deployment the run belongs to."""
    versioning = versioning_of(events)
    shown = versioning.info()
    if shown is None:
        return
    info = response.workflow_execution_info
    info.versioning_info.CopyFrom(shown)
    info.worker_deployment_name = shown.deployment_version.deployment_name
    if versioning.version is not None:
        info.most_recent_worker_version_stamp.build_id = versioning.version.build_id


async def _pending_activities(
    context: Context, response: DescribeWorkflowExecutionResponse, run: dict[str, Any]
) -> None:
    paused: list[str] = []
    for row in await activities.of_run(context.database, run["run_id"]):
        pending = _pending_activity(row)
        response.pending_activities.append(pending)
        if pending.paused:
            paused.append(pending.activity_type.name)
    with_paused(response.workflow_execution_info.search_attributes, paused)


def _callbacks(
    response: DescribeWorkflowExecutionResponse,
    run: dict[str, Any],
    events: list[HistoryEvent],
) -> None:
    """Show who is told of the run's end, and whether they have been."""
    states = CallbackState
    told = run["close_time"] is not None
    for callback in callbacks.of_run(events):
        info = response.callbacks.add(callback=callback)
        info.trigger.workflow_closed.SetInParent()
        info.registration_time.CopyFrom(events[0].event_time)
        info.state = states.CALLBACK_STATE_STANDBY
        if told:
            info.state = states.CALLBACK_STATE_SUCCEEDED


def _config(
    response: DescribeWorkflowExecutionResponse,
    run: dict[str, Any],
    start_event: HistoryEvent,
) -> None:
    started = start_event.workflow_execution_started_event_attributes
    config = response.execution_config
    config.task_queue.name = run["task_queue"]
    config.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    for name in ("workflow_execution_timeout", "workflow_run_timeout"):
        if clock.seconds(getattr(started, name)) > 0:
            getattr(config, name).CopyFrom(getattr(started, name))
    config.default_workflow_task_timeout.CopyFrom(started.workflow_task_timeout)
    if start_event.HasField("user_metadata"):
        config.user_metadata.CopyFrom(start_event.user_metadata)


def _info(
    response: DescribeWorkflowExecutionResponse,
    run: dict[str, Any],
    started: WorkflowExecutionStartedEventAttributes,
    events: list[HistoryEvent],
) -> None:
    info = response.workflow_execution_info
    info.execution.workflow_id = run["workflow_id"]
    info.execution.run_id = run["run_id"]
    info.type.name = run["workflow_type"]
    info.task_queue = run["task_queue"]
    info.start_time.CopyFrom(events[0].event_time)
    if run["reset_at"] is not None:
        info.start_time.FromDatetime(run["reset_at"])
    info.execution_time.FromDatetime(run["execution_time"])
    info.status = run["status"]
    info.history_length = events[-1].event_id
    info.history_size_bytes = sum(event.ByteSize() for event in events)
    info.state_transition_count = len(events)
    info.memo.SetInParent()
    if run["memo"] is not None:
        info.memo.CopyFrom(Memo.FromString(run["memo"]))
    if run["search_attributes"]:
        info.search_attributes.CopyFrom(
            runs.search_attributes_of(run["search_attributes"])
        )
    info.first_run_id = run["first_run_id"]
    if run["parent_workflow_id"] is not None:
        info.parent_execution.workflow_id = run["parent_workflow_id"]
        info.parent_execution.run_id = run["parent_run_id"]
    info.root_execution.workflow_id = run["root_workflow_id"] or run["workflow_id"]
    info.root_execution.run_id = run["root_run_id"] or run["run_id"]
    priority = priority_of(events)
    if priority is not None:
        info.priority.CopyFrom(priority)
    if run["close_time"] is not None:
        info.close_time.CopyFrom(events[-1].event_time)
        info.execution_duration.FromTimedelta(run["close_time"] - run["execution_time"])


def _extended_info(
    response: DescribeWorkflowExecutionResponse,
    run: dict[str, Any],
    events: list[HistoryEvent],
) -> None:
    start_event = events[0]
    started = start_event.workflow_execution_started_event_attributes
    extended = response.workflow_extended_info
    extended.cancel_requested = run["cancel_requested"]
    extended.original_start_time.CopyFrom(start_event.event_time)
    if started.HasField("workflow_execution_expiration_time"):
        extended.execution_expiration_time.CopyFrom(
            started.workflow_execution_expiration_time
        )
    extended.reset_run_id = run["reset_run_id"] or ""
    if run["reset_at"] is not None:
        extended.last_reset_time.FromDatetime(run["reset_at"])
    extended.run_expiration_time.seconds = _GO_ZERO_TIME
    if run["expires_at"] is not None:
        extended.run_expiration_time.FromDatetime(run["expires_at"])
    _request(response, run["start_request_id"], start_event)
    for event in events:
        updated = event.workflow_execution_options_updated_event_attributes
        if updated.attached_request_id:
            _request(response, updated.attached_request_id, event)


def _request(
    response: DescribeWorkflowExecutionResponse, request_id: str, event: HistoryEvent
) -> None:
    """Say which event a request led to."""
    info = response.workflow_extended_info.request_id_infos[request_id]
    info.event_type = event.event_type
    info.event_id = event.event_id


def _pending_task(
    response: DescribeWorkflowExecutionResponse,
    run: dict[str, Any],
    events: list[HistoryEvent],
) -> None:
    waiting = run["dbos_status"] == "ENQUEUED"
    open_task = events[-1].event_type in (
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    )
    if not (waiting or open_task or run["task_attempt"] > 1):
        return
    task = response.pending_workflow_task
    task.state = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
    task.scheduled_time.CopyFrom(events[-1].event_time)
    task.original_scheduled_time.CopyFrom(events[-1].event_time)
    task.attempt = run["task_attempt"]


async def _pending_children(
    context: Context,
    response: DescribeWorkflowExecutionResponse,
    run: dict[str, Any],
    events: list[HistoryEvent],
) -> None:
    """Children whose end the run does not know, or never learned before it closed."""
    children = Children(events)
    if not children.open:
        return
    if run["close_time"] is None:
        uuid = run["workflow_uuid"]
        inbox = (await inboxes.read(context.database, [uuid])).get(uuid)
        for group in inbox.groups if inbox is not None else []:
            for event in group:
                children.learn(event)
    for number, child in children.open.items():
        initiated = child.initiated
        options = initiated.start_child_workflow_execution_initiated_event_attributes
        response.pending_children.add(
            workflow_id=options.workflow_id,
            run_id=child.run_id,
            workflow_type_name=options.workflow_type.name,
            initiated_id=number,
            parent_close_policy=options.parent_close_policy,
        )


def _pending_activity(row: ActivityRow) -> PendingActivityInfo:
    options = row.scheduled.activity_task_scheduled_event_attributes
    progress = row.progress
    info = PendingActivityInfo(
        activity_id=options.activity_id,
        activity_type=options.activity_type,
        attempt=progress.attempt,
        maximum_attempts=options.retry_policy.maximum_attempts,
        last_failure=progress.last_failure,
        heartbeat_details=progress.heartbeat,
        last_worker_identity=progress.identity,
    )
    states = PendingActivityState
    info.state = states.PENDING_ACTIVITY_STATE_SCHEDULED
    if row.state is AttemptState.STARTED:
        info.state = states.PENDING_ACTIVITY_STATE_STARTED
        if progress.cancel_requested:
            info.state = states.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED
        elif progress.pause is not None:
            info.state = states.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED
    elif progress.pause is not None:
        info.state = states.PENDING_ACTIVITY_STATE_PAUSED
    if progress.pause is not None:
        info.paused = True
        info.pause_info.pause_time.CopyFrom(clock.of_seconds(progress.pause.at))
        info.pause_info.manual.identity = progress.pause.identity
        info.pause_info.manual.reason = progress.pause.reason
    _times(info, row)
    activity_options = info.activity_options
    activity_options.task_queue.name = options.task_queue.name
    for name in (
        "schedule_to_close_timeout",
        "schedule_to_start_timeout",
        "start_to_close_timeout",
        "heartbeat_timeout",
        "retry_policy",
    ):
        getattr(activity_options, name).CopyFrom(getattr(options, name))
    if options.HasField("priority"):
        info.priority.CopyFrom(options.priority)
    return info


def _times(info: PendingActivityInfo, row: ActivityRow) -> None:
    progress = row.progress
    options = row.scheduled.activity_task_scheduled_event_attributes
    info.scheduled_time.CopyFrom(clock.of_seconds(progress.attempt_scheduled_at))
    if progress.started_at is not None:
        info.last_started_time.CopyFrom(clock.of_seconds(progress.started_at))
    if progress.heartbeat_at is not None:
        info.last_heartbeat_time.CopyFrom(clock.of_seconds(progress.heartbeat_at))
    if clock.seconds(options.schedule_to_close_timeout) > 0:
        info.expiration_time.CopyFrom(
            clock.later(row.scheduled.event_time, options.schedule_to_close_timeout)
        )
    if row.state is AttemptState.BACKOFF and progress.completed_at is not None:
        info.last_attempt_complete_time.CopyFrom(
            clock.of_seconds(progress.completed_at)
        )
        info.current_retry_interval.CopyFrom(
            clock.duration(
                round(progress.attempt_scheduled_at - progress.completed_at, 6)
            )
        )
        info.next_attempt_schedule_time.CopyFrom(
            clock.of_seconds(progress.attempt_scheduled_at)
        )
