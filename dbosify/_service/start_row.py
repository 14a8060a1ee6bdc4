"""From a request that starts a workflow to the run's first events and its row.

What the server fills in, caps and leaves out before it stores anything stands here, so
that whoever starts a workflow gets the same run.
"""

from __future__ import annotations

from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from dbosify._model import clock, cron
from dbosify._model.nulls import without_nulls
from dbosify._model.protos import (
    ContinueAsNewInitiator,
    HistoryEvent,
    Link,
    Timestamp,
    WorkflowExecutionStartedEventAttributes,
)
from dbosify._model.start import first_events
from dbosify._store.runs import StartRow

from .context import Context
from .run_ids import new_run_id

_CRON = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
_MAX_TIMEOUT = 3153600000.0
"""A hundred years, in seconds; longer ones are cut as the server cuts them."""
_MAX_TASK_TIMEOUT = 120.0
_DEFAULT_TASK_TIMEOUT = 10.0


def start_row(
    context: Context,
    request: StartWorkflowExecutionRequest,
    request_id: str,
    *,
    signal: HistoryEvent | None = None,
) -> StartRow:
    """The run that a request asks for, with a fresh run id.

    Args:
        context: of the request.
        request: checked.
        request_id: of the request, or made up for it.
        signal: which the run begins with.
    """
    now = context.around.now()
    run_id = new_run_id(clock.milliseconds(now))
    started = _start_attributes(request, run_id, now)
    backoff = clock.seconds(started.first_workflow_task_backoff)
    events = first_events(
        started,
        now,
        delayed=backoff > 0,
        metadata=request.user_metadata if request.HasField("user_metadata") else None,
        signal=signal,
    )
    events[0].links.extend(own_links(request))
    begun = events[0].workflow_execution_started_event_attributes
    begun.completion_callbacks.extend(request.completion_callbacks)
    return StartRow(request.workflow_id, run_id, request_id, events, backoff)


def own_links(request: StartWorkflowExecutionRequest) -> list[Link]:
    """The links of a request that its callbacks do not bring along anyway."""
    brought = [link for each in request.completion_callbacks for link in each.links]
    return [link for link in request.links if link not in brought]


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
        versioning_override=(
            request.versioning_override
            if request.HasField("versioning_override")
            else None
        ),
    )
    started.task_queue.name = request.task_queue.name
    started.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    for given in ("last_completion_result", "continued_failure"):
        if request.HasField(given):
            getattr(started, given).CopyFrom(getattr(request, given))
    if request.HasField("retry_policy"):
        started.retry_policy.CopyFrom(request.retry_policy)
    memo, attributes = without_nulls(request.memo, request.search_attributes)
    if memo.fields:
        started.memo.CopyFrom(memo)
    if attributes.indexed_fields:
        started.search_attributes.CopyFrom(attributes)
    if clock.seconds(request.workflow_start_delay) > _MAX_TIMEOUT:
        started.first_workflow_task_backoff.CopyFrom(clock.duration(_MAX_TIMEOUT))
    if request.cron_schedule:
        started.cron_schedule = request.cron_schedule
        started.initiator = (
            ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
        )
        waits = cron.backoff(request.cron_schedule, now, now)
        started.first_workflow_task_backoff.CopyFrom(clock.duration(waits or 0))
    _timeouts(started, request, now)
    return started


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
            # To the millisecond, as the server keeps it.
            clock.timestamp(
                clock.milliseconds(clock.later(now, clock.duration(execution)))
                * 1_000_000
            )
        )
    task = min(task, _MAX_TASK_TIMEOUT, run or task)
    if execution > 0:
        started.workflow_execution_timeout.CopyFrom(clock.duration(execution))
    if run > 0:
        started.workflow_run_timeout.CopyFrom(clock.duration(run))
    started.workflow_task_timeout.CopyFrom(clock.duration(task))
