"""Priorities: given to runs, children and activities, and seen by all who should."""

import asyncio
from datetime import timedelta

import pytest

from dbosify import activity, workflow
from dbosify.api.common.v1 import Priority as PriorityProto
from dbosify.client import Client
from dbosify.common import Priority
from tests.ported_temporal.scaffold import (
    event_types_of,
    events_of,
    new_worker,
    random_id,
)
from tests.waiting import eventually

OWN = Priority(priority_key=1, fairness_key="tenant1", fairness_weight=2.5)
FIRST_CHILD = Priority(priority_key=4, fairness_key="tenant2", fairness_weight=1.0)
SECOND_CHILD = Priority(priority_key=2, fairness_key="tenant3", fairness_weight=0.5)
ACTIVITY = Priority(priority_key=5, fairness_key="tenant4", fairness_weight=3.0)


@activity.defn
async def own_priority() -> int | None:
    return activity.info().priority.priority_key


@workflow.defn
class PriorityWorkflow:
    """Tells its own priority, and gives others to what it starts."""

    @workflow.run
    async def run(self, with_children: bool) -> list[int | None]:
        keys = [workflow.info().priority.priority_key]
        if with_children:
            for priority in (FIRST_CHILD, SECOND_CHILD):
                keys += await workflow.execute_child_workflow(
                    PriorityWorkflow.run, False, priority=priority
                )
        keys.append(
            await workflow.execute_activity(
                own_priority,
                start_to_close_timeout=timedelta(seconds=10),
                priority=ACTIVITY,
            )
        )
        return keys


def proto(priority: Priority) -> PriorityProto:
    """What a history shows of a priority."""
    return PriorityProto(
        priority_key=priority.priority_key or 0,
        fairness_key=priority.fairness_key or "",
        fairness_weight=priority.fairness_weight or 0,
    )


async def test_priorities_of_a_run_and_its_activity(client: Client) -> None:
    async with new_worker(
        client, PriorityWorkflow, activities=[own_priority]
    ) as worker:
        handle = await client.start_workflow(
            PriorityWorkflow.run,
            False,
            id=random_id(),
            task_queue=worker.task_queue,
            priority=OWN,
        )
        assert await handle.result() == [1, 5]
        described = await handle.describe()
    started, *events = await events_of(handle)
    assert started.workflow_execution_started_event_attributes.priority == proto(OWN)
    assert described.raw_info.priority == proto(OWN)
    (scheduled,) = (
        event.activity_task_scheduled_event_attributes
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    )
    assert scheduled.priority == proto(ACTIVITY)


@pytest.mark.needs("child workflows")
async def test_workflow_priorities(client: Client) -> None:
    async with new_worker(
        client, PriorityWorkflow, activities=[own_priority]
    ) as worker:
        handle = await client.start_workflow(
            PriorityWorkflow.run,
            True,
            id=random_id(),
            task_queue=worker.task_queue,
            priority=OWN,
        )
        assert await handle.result() == [1, 4, 5, 2, 5, 5]
        bare = await client.execute_workflow(
            PriorityWorkflow.run, False, id=random_id(), task_queue=worker.task_queue
        )
    assert bare == [None, 5]
    assert "CHILD_WORKFLOW_EXECUTION_STARTED" in await event_types_of(handle)
    initiated = [
        event.start_child_workflow_execution_initiated_event_attributes.priority
        for event in await events_of(handle)
        if event.HasField("start_child_workflow_execution_initiated_event_attributes")
    ]
    assert initiated == [proto(FIRST_CHILD), proto(SECOND_CHILD)]


@workflow.defn
class ManyPrioritiesWorkflow:
    """Starts an activity for each priority at once, the least urgent first."""

    @workflow.run
    async def run(self, task_queue: str) -> None:
        await asyncio.gather(
            *(
                workflow.execute_activity(
                    "note_priority",
                    task_queue=task_queue,
                    start_to_close_timeout=timedelta(seconds=10),
                    priority=Priority(priority_key=key) if key else Priority.default,
                )
                for key in (5, 4, None, 2, 1)
            )
        )


@pytest.mark.only_against(
    "dbosify",
    reason="a server spreads a queue over parts, each with an order of its own",
)
async def test_urgent_activities_are_taken_first(client: Client) -> None:
    begun: list[int | None] = []

    @activity.defn
    async def note_priority() -> None:
        begun.append(activity.info().priority.priority_key)

    async with new_worker(client, ManyPrioritiesWorkflow) as worker:
        queue = random_id("queue")
        handle = await client.start_workflow(
            ManyPrioritiesWorkflow.run,
            queue,
            id=random_id(),
            task_queue=worker.task_queue,
        )

        async def all_wait() -> None:
            assert (
                len((await handle.describe()).raw_description.pending_activities) == 5
            )

        await eventually(all_wait)
        async with new_worker(
            client,
            activities=[note_priority],
            task_queue=queue,
            max_concurrent_activities=1,
        ):
            await handle.result()
    assert begun == [1, 2, None, 4, 5]
