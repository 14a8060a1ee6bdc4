"""Raw requests about schedules, for the tests of the service's contract."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from dbosify.api.common.v1 import WorkflowType
from dbosify.api.schedule.v1 import (
    BackfillRequest,
    IntervalSpec,
    Schedule,
    ScheduleAction,
    SchedulePatch,
    SchedulePolicies,
    ScheduleSpec,
    ScheduleState,
    TriggerImmediatelyRequest,
)
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.workflow.v1 import NewWorkflowExecutionInfo
from dbosify.api.workflowservice.v1 import (
    CreateScheduleRequest,
    CreateScheduleResponse,
    DeleteScheduleRequest,
    DescribeScheduleRequest,
    DescribeScheduleResponse,
    ListScheduleMatchingTimesRequest,
    PatchScheduleRequest,
    UpdateScheduleRequest,
)
from dbosify.client import Client, ScheduleOverlapPolicy
from tests.ported_temporal.scaffold import random_id

SKIP = ScheduleOverlapPolicy.SKIP
BUFFER_ONE = ScheduleOverlapPolicy.BUFFER_ONE
BUFFER_ALL = ScheduleOverlapPolicy.BUFFER_ALL
CANCEL_OTHER = ScheduleOverlapPolicy.CANCEL_OTHER
TERMINATE_OTHER = ScheduleOverlapPolicy.TERMINATE_OTHER
ALLOW_ALL = ScheduleOverlapPolicy.ALLOW_ALL


def an_action(**fields: Any) -> ScheduleAction:
    """An action whose workflow nobody runs, unless the fields say otherwise."""
    given: dict[str, Any] = {
        "workflow_id": random_id(),
        "workflow_type": WorkflowType(name="some-workflow"),
        "task_queue": TaskQueue(name="nobody-" + str(uuid.uuid4())),
    }
    return ScheduleAction(start_workflow=NewWorkflowExecutionInfo(**given | fields))


def a_schedule(**fields: Any) -> Schedule:
    """A schedule that only acts when it is told to."""
    given: dict[str, Any] = {"action": an_action()}
    return Schedule(**given | fields)


def each_second(policy: ScheduleOverlapPolicy = SKIP, **fields: Any) -> Schedule:
    """A schedule that acts each second, while it is not paused."""
    interval = IntervalSpec()
    interval.interval.FromTimedelta(timedelta(seconds=1))
    given: dict[str, Any] = {
        "spec": ScheduleSpec(interval=[interval]),
        "policies": SchedulePolicies(overlap_policy=policy.value),  # type: ignore[arg-type]
    }
    return a_schedule(**given | fields)


async def create(
    client: Client, schedule: Schedule | None = None, **fields: Any
) -> CreateScheduleResponse:
    """Create a schedule; without one, one that only acts when it is told to."""
    given: dict[str, Any] = {
        "namespace": client.namespace,
        "schedule_id": random_id("schedule"),
        "request_id": str(uuid.uuid4()),
        "schedule": a_schedule() if schedule is None else schedule,
    }
    return await client.workflow_service.create_schedule(
        CreateScheduleRequest(**given | fields)
    )


async def created(client: Client, schedule: Schedule, **fields: Any) -> str:
    """Create a schedule and give its id."""
    schedule_id = random_id("schedule")
    await create(client, schedule, schedule_id=schedule_id, **fields)
    return schedule_id


async def describe(client: Client, schedule_id: str) -> DescribeScheduleResponse:
    """Describe a schedule."""
    return await client.workflow_service.describe_schedule(
        DescribeScheduleRequest(namespace=client.namespace, schedule_id=schedule_id)
    )


async def update(
    client: Client, schedule_id: str, schedule: Schedule | None, **fields: Any
) -> None:
    """Update a schedule."""
    await client.workflow_service.update_schedule(
        UpdateScheduleRequest(
            namespace=client.namespace,
            schedule_id=schedule_id,
            schedule=schedule,
            **fields,
        )
    )


async def patch(client: Client, schedule_id: str, patch: SchedulePatch | None) -> None:
    """Patch a schedule."""
    await client.workflow_service.patch_schedule(
        PatchScheduleRequest(
            namespace=client.namespace, schedule_id=schedule_id, patch=patch
        )
    )


async def delete(client: Client, schedule_id: str) -> None:
    """Delete a schedule."""
    await client.workflow_service.delete_schedule(
        DeleteScheduleRequest(namespace=client.namespace, schedule_id=schedule_id)
    )


async def matching(
    client: Client, schedule_id: str, start: datetime | None, end: datetime | None
) -> list[datetime]:
    """The times of a schedule in a range."""
    request = ListScheduleMatchingTimesRequest(
        namespace=client.namespace, schedule_id=schedule_id
    )
    if start is not None:
        request.start_time.FromDatetime(start)
    if end is not None:
        request.end_time.FromDatetime(end)
    answer = await client.workflow_service.list_schedule_matching_times(request)
    return [each.ToDatetime() for each in answer.start_time]


def trigger(
    policy: ScheduleOverlapPolicy | None = None, at: datetime | None = None
) -> SchedulePatch:
    """A patch that triggers the action."""
    request = TriggerImmediatelyRequest()
    if policy is not None:
        request.overlap_policy = policy.value  # type: ignore[assignment]
    if at is not None:
        request.scheduled_time.FromDatetime(at)
    return SchedulePatch(trigger_immediately=request)


def backfill(
    start: datetime, end: datetime, policy: ScheduleOverlapPolicy
) -> SchedulePatch:
    """A patch that backfills."""
    request = BackfillRequest(overlap_policy=policy.value)  # type: ignore[arg-type]
    request.start_time.FromDatetime(start)
    request.end_time.FromDatetime(end)
    return SchedulePatch(backfill_request=[request])


PAUSED = ScheduleState(paused=True)
