"""A schedule fires each time once, whoever dies while it does."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import psycopg
import pytest

from dbosify._runtime.faults import Point
from dbosify.client import (
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleInfo,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
)
from tests.kill_recover import evidence
from tests.kill_recover.arena import SHORT_LEASE, Arena
from tests.kill_recover.scenarios import Sequential
from tests.waiting import eventually

TIMES = 3

RESULT = ["first", "second", "third"]


def three_times(queue: str) -> Schedule:
    """Acts in the next three seconds, once in each."""
    return Schedule(
        ScheduleActionStartWorkflow(
            Sequential.run, id=f"scheduled-{uuid.uuid4()}", task_queue=queue
        ),
        ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=1))]),
        SchedulePolicy(overlap=ScheduleOverlapPolicy.ALLOW_ALL),
        ScheduleState(limited_actions=True, remaining_actions=TIMES),
    )


@pytest.mark.parametrize("point", [Point.BEFORE_FIRE, Point.AFTER_FIRE])
async def test_a_schedule_whose_worker_is_killed_fires_each_time_once(
    arena: Arena, point: Point
) -> None:
    queue = f"queue-{uuid.uuid4()}"
    fault = {"DBOSIFY_FAULT": f"{point.name}:kill:1"}
    async with (
        arena.stable.process(**SHORT_LEASE, **fault) as victim,
        arena.serving(arena.rescuer, queue),
    ):
        await victim.order(do="serve", queue=queue)
        with arena.rescuer.held():
            handle = await arena.client.create_schedule(
                f"schedule-{uuid.uuid4()}", three_times(queue)
            )
            await victim.killed()
            taken = (await handle.describe()).info.num_actions
            assert taken == (point is Point.AFTER_FIRE)
        await check(arena, handle)


async def test_a_schedule_that_many_workers_look_at_fires_each_time_once(
    arena: Arena,
) -> None:
    queue = f"queue-{uuid.uuid4()}"
    async with (
        arena.stable.process() as second,
        arena.stable.process() as third,
        arena.serving(arena.rescuer, queue),
        arena.serving(second, queue),
        arena.serving(third, queue),
    ):
        handles = [
            await arena.client.create_schedule(
                f"schedule-{uuid.uuid4()}", three_times(queue)
            )
            for _ in range(4)
        ]
        for handle in handles:
            await check(arena, handle)


async def test_times_that_pass_while_no_worker_is_alive_are_made_up(
    arena: Arena,
) -> None:
    queue = f"queue-{uuid.uuid4()}"
    async with arena.serving(arena.rescuer, queue):
        with arena.rescuer.held():
            handle = await arena.client.create_schedule(
                f"schedule-{uuid.uuid4()}", three_times(queue)
            )
            last = (await handle.describe()).info.next_action_times[-1]

            async def passed() -> None:
                assert datetime.now(timezone.utc) > last

            await eventually(passed)
            assert (await handle.describe()).info.num_actions == 0
        await check(arena, handle)


async def test_a_schedule_that_cannot_be_read_does_not_keep_others_waiting(
    arena: Arena,
) -> None:
    queue = f"queue-{uuid.uuid4()}"
    async with arena.serving(arena.rescuer, queue):
        with arena.rescuer.held():
            broken, sound = [
                await arena.client.create_schedule(
                    f"schedule-{uuid.uuid4()}", three_times(queue)
                )
                for _ in range(2)
            ]
            await damage(arena.url, broken.id)
        await check(arena, sound)
        await damage(arena.url, broken.id, repair=True)
        await broken.delete()


async def damage(url: str, schedule_id: str, *, repair: bool = False) -> None:
    """Leave something in a schedule's row that nobody understands, or take it away."""
    text = "progress - 'waiting'" if not repair else """progress || '{"waiting": []}'"""
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with connection:
        await connection.execute(
            (
                f"UPDATE {evidence.SCHEMA}.dbosify_schedules SET progress = {text}"
                " WHERE schedule_id = %s"
            ).encode(),
            (schedule_id,),
        )


async def check(arena: Arena, handle: ScheduleHandle) -> None:
    """Hold what a schedule has done against what it should have."""

    async def done() -> ScheduleInfo:
        description = await handle.describe()
        assert description.info.num_actions == TIMES
        assert description.schedule.state.remaining_actions == 0
        return description.info

    info = await eventually(done)
    await handle.delete()
    times = [action.scheduled_at for action in info.recent_actions]
    assert {later - one for one, later in pairwise(times)} == {timedelta(seconds=1)}
    for action in info.recent_actions:
        assert isinstance(action.action, ScheduleActionExecutionStartWorkflow)
        workflow_id = action.action.workflow_id
        assert await arena.client.get_workflow_handle(workflow_id).result() == RESULT
        (run_id,) = await evidence.runs_of(arena.url, workflow_id)
        assert run_id == action.action.first_execution_run_id
        await evidence.check(arena.client, arena.url, workflow_id, attempts=2)
