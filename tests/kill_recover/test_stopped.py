"""A worker that stands still for longer than its lease, and then goes on."""

from __future__ import annotations

import asyncio
import functools
import signal
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from dbosify._runtime.faults import Point
from tests.kill_recover import effects, evidence
from tests.kill_recover.arena import Arena, Case
from tests.kill_recover.cases import scenario_named
from tests.waiting import eventually

STOPS = {
    "sequential activities": (
        (Point.BEFORE_TURN, 2),
        (Point.BEFORE_COMMIT, 2),
        (Point.BEFORE_COMMIT, 4),
        (Point.AFTER_COMMIT, 2),
        (Point.AFTER_ACTIVITY_START, 2),
        (Point.BEFORE_ACTIVITY_END, 2),
    ),
    "queued activities": (
        (Point.AFTER_CLAIM, 1),
        (Point.AFTER_LOAD, 1),
        (Point.AFTER_ACTIVITY_START, 2),
        (Point.BEFORE_ACTIVITY_END, 2),
    ),
    "timers": ((Point.TIMER_FIRED, 1),),
    "signals": ((Point.BEFORE_COMMIT, 3),),
    "continue-as-new": ((Point.BEFORE_COMMIT, 2), (Point.AFTER_CLOSE, 1)),
    "at most once": (
        (Point.AFTER_COMMIT, 1),
        (Point.AFTER_ACTIVITY_START, 1),
        (Point.BEFORE_ACTIVITY_END, 1),
    ),
    "heartbeats": ((Point.AFTER_HEARTBEAT, 2),),
    "heartbeats from the queue": ((Point.AFTER_HEARTBEAT, 2),),
    "local activities": ((Point.LOCAL_ACTIVITY_OVER, 1), (Point.BEFORE_COMMIT, 2)),
    "long local activity": ((Point.AFTER_COMMIT, 1),),
}
"""At which passage of which point a worker stands still."""

NOT_BEGUN = {
    "sequential activities": ((Point.AFTER_COMMIT, 2), (Point.AFTER_ACTIVITY_START, 2)),
    "queued activities": ((Point.AFTER_ACTIVITY_START, 2),),
    "at most once": ((Point.AFTER_COMMIT, 1), (Point.AFTER_ACTIVITY_START, 1)),
}
"""Those of them at which an attempt is the worker's, but has not had its effect."""


@pytest.mark.parametrize("name", STOPS)
async def test_a_worker_that_goes_on_after_its_lease_ran_out_writes_nothing(
    arena: Arena, name: str
) -> None:
    async with _stopped_for_long(arena, name, STOPS[name]) as cases:
        rows = [await evidence.rows_of(arena.url, case.workflow_id) for case in cases]
        await _let_go_on(arena, cases)
        for case, before in zip(cases, rows, strict=True):
            assert await evidence.rows_of(arena.url, case.workflow_id) == before
            # An attempt that was under way cannot be called back.
            done = await effects.read(arena.url, case.workflow_id)
            assert len(done) == len(set(done)), case.label


@pytest.mark.parametrize("name", NOT_BEGUN)
async def test_a_worker_that_goes_on_begins_no_attempt_that_was_given_up_for_lost(
    arena: Arena, name: str
) -> None:
    async with _stopped_for_long(arena, name, NOT_BEGUN[name]) as cases:
        done = [await effects.read(arena.url, case.workflow_id) for case in cases]
        await _let_go_on(arena, cases)
        for case, before in zip(cases, done, strict=True):
            assert await effects.read(arena.url, case.workflow_id) == before


@pytest.mark.parametrize("name", STOPS)
async def test_a_worker_that_goes_on_takes_its_run_again_if_nobody_else_does(
    arena: Arena, name: str
) -> None:
    async with AsyncExitStack() as stack:
        # It sees that the leases run out, but serves another queue.
        await stack.enter_async_context(arena.serving(arena.rescuer, f"not {name}"))
        cases = [
            await stack.enter_async_context(
                arena.victim(scenario_named(name), f"{point.name}:stop:{hit}")
            )
            for point, hit in STOPS[name]
        ]
        async with arena.stopping(cases):
            for case in cases:
                await eventually(functools.partial(_is_nobodys, arena, case))
        for case in cases:
            case.is_down()
        await asyncio.gather(*map(arena.conclude, cases))


async def _is_nobodys(arena: Arena, case: Case) -> None:
    rows = await evidence.rows_of(arena.url, case.workflow_id)
    assert "PENDING" not in {row["status"] for row in rows["workflow_status"]}


@asynccontextmanager
async def _stopped_for_long(
    arena: Arena, name: str, stops: Iterable[tuple[Point, int]]
) -> AsyncIterator[list[Case]]:
    """Workers that stand still; the rescuer has finished what they had begun."""
    faults = [f"{point.name}:stop:{hit}" for point, hit in stops]
    async with (
        arena.cases(scenario_named(name), faults) as cases,
        arena.stopping(cases),
    ):
        await asyncio.gather(*map(arena.conclude, cases))
        yield cases


async def _let_go_on(arena: Arena, cases: Sequence[Case]) -> None:
    """Have workers go on, do something else, and leave."""
    for case in cases:
        case.victim.send(signal.SIGCONT)
    await asyncio.gather(*(_run_something_else(arena, case) for case in cases))
    await asyncio.gather(*(case.victim.dismiss() for case in cases))


async def _run_something_else(arena: Arena, case: Case) -> None:
    """Give the worker a second run, which it has to finish."""
    again = Case(scenario_named("timers"), case.victim, "again", queue=case.queue)
    await arena.begin(again)
    assert await arena.result(again) in again.scenario.result
