"""What the server stores of an activity's options: timeouts and retry policy."""

from __future__ import annotations

from temporalio.api.enums.v1 import TaskQueueKind

from dbosify._model import clock
from dbosify._model.policies import fill_defaults, settle_timeouts
from dbosify._model.protos import (
    ActivityTaskScheduledEventAttributes,
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
    settle_timeouts(result, source, within=clock.seconds(run.workflow_run_timeout))
    if source.HasField("retry_policy"):
        result.retry_policy.CopyFrom(source.retry_policy)
    fill_defaults(result.retry_policy)
    if source.HasField("priority"):
        result.priority.CopyFrom(source.priority)
    return result
