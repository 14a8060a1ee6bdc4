"""An activity without a workflow outlives the worker that runs it."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from dbosify._runtime.faults import Point
from dbosify.client import ActivityExecutionStatus
from tests.kill_recover import effects
from tests.kill_recover.arena import SHORT_LEASE, Arena
from tests.kill_recover.scenarios import PATIENT, TOP

RECOVERY = 20.0
"""Seconds after which it should long have been done by somebody else."""


@pytest.mark.parametrize(
    ("point", "name", "args", "result"),
    [
        (Point.AFTER_ACTIVITY_START, "act", ["once"], "once"),
        (Point.BEFORE_ACTIVITY_END, "act", ["twice"], "twice"),
        (Point.AFTER_HEARTBEAT, "climb", [], [1, TOP]),
    ],
    ids=["not begun", "not reported", "heartbeats"],
)
async def test_an_activity_whose_worker_is_killed_is_tried_again_elsewhere(
    arena: Arena, point: Point, name: str, args: list[Any], result: Any
) -> None:
    queue, activity_id = f"queue-{uuid.uuid4()}", f"activity-{uuid.uuid4()}"
    fault = {"DBOSIFY_FAULT": f"{point.name}:kill:1"}
    async with (
        arena.stable.process(**SHORT_LEASE, **fault) as victim,
        arena.serving(arena.rescuer, queue),
    ):
        await victim.order(do="serve", queue=queue)
        with arena.rescuer.held():
            handle = await arena.client.start_activity(
                name,
                args=args,
                id=activity_id,
                task_queue=queue,
                start_to_close_timeout=PATIENT,
            )
            await victim.killed()
        assert await asyncio.wait_for(handle.result(), RECOVERY) == result
    told = await handle.describe()
    assert told.status == ActivityExecutionStatus.COMPLETED
    assert told.attempt == 2
    done = await effects.read(arena.url, activity_id)
    tried = {effect.attempt for effect in done}
    assert tried == ({2} if point is Point.AFTER_ACTIVITY_START else {1, 2})
