"""What the server stores of an activity's options: timeouts and retry policy."""

from __future__ import annotations

from temporalio.api.enums.v1 import TaskQueueKind

from dbosify._model import clock
from dbosify._model.policies import fill_defaults
from dbosify._model.protos import (
    ActivityTaskScheduledEventAttributes,
    Duration,
    ScheduleActivity,
    WorkflowExecutionStartedEventAttributes,
)


def attributes(
    source: ScheduleActivity, run: WorkflowExecutionStartedEventAttributes
) -> ActivityTaskScheduledEventAttributes:
    """The event attributes of an activity command, normalised as the server does.

    Unset timeouts take the schedule-to-close timeout, or the run's own; none exceeds
    the run's; the heartbeat timeout never exceeds start-to-close.
    """
    result = ActivityTaskScheduledEventAttributes(activity_id=source.activity_id)
    result.activity_type.name = source.activity_type
    result.task_queue.name = source.task_queue
    result.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    for key, value in source.headers.items():
        result.header.fields[key].CopyFrom(value)
    if source.arguments:
        result.input.payloads.extend(source.arguments)
    _timeouts(result, source, clock.seconds(run.workflow_run_timeout))
    if source.HasField("retry_policy"):
        result.retry_policy.CopyFrom(source.retry_policy)
    fill_defaults(result.retry_policy)
    if source.HasField("priority"):
        result.priority.CopyFrom(source.priority)
    return result


def _timeouts(
    result: ActivityTaskScheduledEventAttributes, source: ScheduleActivity, run: float
) -> None:
    close = clock.seconds(source.schedule_to_close_timeout)
    to_start = clock.seconds(source.schedule_to_start_timeout)
    start_to_close = clock.seconds(source.start_to_close_timeout)
    if close > 0:
        close = _cap(close, run)
        to_start = _cap(to_start or close, close)
        start_to_close = _cap(start_to_close or close, close)
    else:
        close = run
        to_start = _cap(to_start or run, run)
        start_to_close = _cap(start_to_close, run)
    heartbeat = min(clock.seconds(source.heartbeat_timeout), start_to_close)
    for field, value in (
        (result.schedule_to_close_timeout, close),
        (result.schedule_to_start_timeout, to_start),
        (result.start_to_close_timeout, start_to_close),
        (result.heartbeat_timeout, heartbeat),
    ):
        _set(field, value)


def _cap(value: float, limit: float) -> float:
    return min(value, limit) if limit > 0 else value


def _set(field: Duration, value: float) -> None:
    field.CopyFrom(clock.duration(value))
