"""A worker that stands still for longer than its lease, and then goes on."""

from __future__ import annotations

import functools
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dbosify._runtime.faults import Point
from tests.kill_recover import effects, evidence
from tests.kill_recover.arena import Arena, Case
from tests.kill_recover.cases import scenario_named
from tests.waiting import eventually

STOPS = [
    ("sequential activities", Point.BEFORE_TURN, 2),
    ("sequential activities", Point.BEFORE_COMMIT, 2),
    ("sequential activities", Point.BEFORE_COMMIT, 4),
    ("sequential activities", Point.AFTER_COMMIT, 2),
    ("sequential activities", Point.AFTER_ACTIVITY_START, 2),
    ("sequential activities", Point.BEFORE_ACTIVITY_END, 2),
    ("queued activities", Point.AFTER_CLAIM, 1),
    ("queued activities", Point.AFTER_LOAD, 1),
    ("queued activities", Point.AFTER_ACTIVITY_START, 2),
    ("queued activities", Point.BEFORE_ACTIVITY_END, 2),
    ("timers", Point.TIMER_FIRED, 1),
    ("signals", Point.BEFORE_COMMIT, 3),
    ("continue-as-new", Point.BEFORE_COMMIT, 2),
    ("continue-as-new", Point.AFTER_CLOSE, 1),
    ("at most once", Point.AFTER_COMMIT, 1),
    ("at most once", Point.AFTER_ACTIVITY_START, 1),
    ("at most once", Point.BEFORE_ACTIVITY_END, 1),
    ("heartbeats", Point.AFTER_HEARTBEAT, 2),
    ("heartbeats from the queue", Point.AFTER_HEARTBEAT, 2),
]


NOT_BEGUN = [
    ("sequential activities", Point.AFTER_COMMIT, 2),
    ("sequential activities", Point.AFTER_ACTIVITY_START, 2),
    ("queued activities", Point.AFTER_ACTIVITY_START, 2),
    ("at most once", Point.AFTER_COMMIT, 1),
    ("at most once", Point.AFTER_ACTIVITY_START, 1),
]

with_stops = functools.partial(
    pytest.mark.parametrize,
    ("name", "point", "hit"),
    ids=lambda value: str(getattr(value, "name", value)),
)


@with_stops(STOPS)
async def test_a_worker_that_goes_on_after_its_lease_ran_out_writes_nothing(
    arena: Arena, name: str, point: Point, hit: int
) -> None:
    async with _stopped_for_long(arena, name, f"{point.name}:stop:{hit}") as case:
        rows = await evidence.rows_of(arena.url, case.workflow_id)
        case.victim.send(signal.SIGCONT)
        await _runs_something_else(arena, case)
        await case.victim.dismiss()
        assert await evidence.rows_of(arena.url, case.workflow_id) == rows
        # An attempt that was under way cannot be called back, but nothing is repeated.
        done = await effects.read(arena.url, case.workflow_id)
        assert len(done) == len(set(done))


@with_stops(NOT_BEGUN)
async def test_a_worker_that_goes_on_begins_no_attempt_that_was_given_up_for_lost(
    arena: Arena, name: str, point: Point, hit: int
) -> None:
    async with _stopped_for_long(arena, name, f"{point.name}:stop:{hit}") as case:
        done = await effects.read(arena.url, case.workflow_id)
        case.victim.send(signal.SIGCONT)
        await _runs_something_else(arena, case)
        await case.victim.dismiss()
        assert await effects.read(arena.url, case.workflow_id) == done


@with_stops(STOPS)
async def test_a_worker_that_goes_on_takes_its_run_again_if_nobody_else_does(
    arena: Arena, name: str, point: Point, hit: int
) -> None:
    scenario = scenario_named(name)
    async with (
        arena.victim(scenario, f"{point.name}:stop:{hit}") as case,
        # It sees that the lease runs out, but serves another queue.
        arena.serving(arena.rescuer, f"not {case.queue}"),
    ):
        async with arena.stopping(case):
            await eventually(lambda: _is_queued(arena, case))
        case.is_down()
        await arena.conclude(case)


async def _is_queued(arena: Arena, case: Case) -> None:
    rows = await evidence.rows_of(arena.url, case.workflow_id)
    states = {row["status"] for row in rows["workflow_status"]}
    assert "PENDING" not in states


@asynccontextmanager
async def _stopped_for_long(arena: Arena, name: str, fault: str) -> AsyncIterator[Case]:
    """A worker that stands still; the rescuer has finished what it had begun."""
    async with (
        arena.case(scenario_named(name), fault) as case,
        arena.stopping(case),
    ):
        await arena.conclude(case)
        yield case


async def _runs_something_else(arena: Arena, case: Case) -> None:
    """Give the worker a second run, which it has to finish."""
    again = Case(scenario_named("timers"), case.victim, "again", queue=case.queue)
    await arena.begin(again)
    assert await arena.result(again) in again.scenario.result
