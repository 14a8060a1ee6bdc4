"""What the tests of schedules share: actions, and schedules that are deleted."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

from dbosify.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleState,
    WorkflowHandle,
)
from dbosify.worker import Worker
from tests.ported_temporal.kitchen_sink import (
    Action,
    KitchenSinkWorkflow,
    Result,
    Script,
)
from tests.ported_temporal.scaffold import random_id

HOURLY = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(hours=1))])
"""Does not fire while a test looks, unless it is asked to."""

PAUSED = ScheduleState(paused=True)

DONE = Script([Action(result=Result("some result"))])


def kitchen_sink(
    worker: Worker, script: Script = DONE, **options: Any
) -> ScheduleActionStartWorkflow:
    """An action that starts a kitchen sink."""
    return ScheduleActionStartWorkflow(
        KitchenSinkWorkflow.run,
        script,
        id=options.pop("id", random_id()),
        task_queue=worker.task_queue,
        **options,
    )


def on_a_queue_that_nobody_serves(**options: Any) -> ScheduleActionStartWorkflow:
    """An action whose workflows never get anywhere."""
    return ScheduleActionStartWorkflow(
        "some-workflow",
        id=options.pop("id", random_id()),
        task_queue=f"nobody-{uuid.uuid4()}",
        **options,
    )


@asynccontextmanager
async def made(
    client: Client, schedule: Schedule, **options: Any
) -> AsyncIterator[ScheduleHandle]:
    """A schedule that is deleted in the end."""
    handle = await client.create_schedule(random_id("schedule"), schedule, **options)
    try:
        yield handle
    finally:
        await handle.delete()


def started_by(
    client: Client, description: ScheduleDescription
) -> list[WorkflowHandle[Any, Any]]:
    """Handles of the workflows of the recent actions, oldest first."""
    handles = []
    for recent in description.info.recent_actions:
        assert isinstance(recent.action, ScheduleActionExecutionStartWorkflow)
        handles.append(
            client.get_workflow_handle(
                recent.action.workflow_id,
                run_id=recent.action.first_execution_run_id,
            )
        )
    return handles


def utc(*parts: int) -> datetime:
    """A moment in UTC."""
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[misc, arg-type]
