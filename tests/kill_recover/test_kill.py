"""SIGKILL at every point: another worker finishes, and nothing happens twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from dbosify._runtime.faults import Point
from tests.kill_recover.arena import DEFAULT_LEASE, SHORT_LEASE, Arena
from tests.kill_recover.cases import CASES, SECOND_DEATHS, Scenario, scenario_named


@pytest.mark.parametrize(
    ("scenario", "point"),
    [pytest.param(*case, id=f"{case[0].name}-{case[1].name}") for case in CASES],
)
async def test_another_worker_finishes_what_a_killed_one_began(
    arena: Arena, scenario: Scenario, point: Point
) -> None:
    await arena.kill(scenario, point, hits=scenario.hits[point])


DEFAULTS = {
    "sequential activities": Point.BEFORE_ACTIVITY_END,
    "continue-as-new": Point.AFTER_CLOSE,
    "timers": Point.TIMER_FIRED,
    "signals": Point.BEFORE_COMMIT,
}


async def test_recovery_is_in_time_with_the_lease_as_it_is_by_default(
    arena: Arena,
) -> None:
    async with arena.stable.process() as rescuer:
        usual = Arena(arena.url, arena.client, arena.stable, rescuer)
        await asyncio.gather(
            *(
                usual.kill(scenario_named(name), point, hits=[1], lease=DEFAULT_LEASE)
                for name, point in DEFAULTS.items()
            )
        )
        # Its rescuer must stand still, so it cannot be among the others.
        await usual.kill(
            scenario_named("queued activities"),
            Point.BEFORE_ACTIVITY_END,
            hits=[2],
            lease=DEFAULT_LEASE,
        )


@pytest.mark.parametrize("points", SECOND_DEATHS.values(), ids=list(SECOND_DEATHS))
async def test_a_third_worker_finishes_when_the_second_dies(
    arena: Arena, points: Sequence[Point]
) -> None:
    await asyncio.gather(*(_die_twice(arena, point) for point in points))


async def _die_twice(arena: Arena, point: Point) -> None:
    scenario = replace(scenario_named("sequential activities"), attempts=3)
    first, second = f"{Point.BEFORE_ACTIVITY_END.name}:kill:2", f"{point.name}:kill:1"
    async with (
        arena.victim(scenario, first) as case,
        arena.stable.process(DBOSIFY_FAULT=second, **SHORT_LEASE) as heir,
    ):
        await heir.order(do="serve", queue=case.queue)
        await arena.begin(case)
        await case.victim.killed()
        await heir.killed()
        case.is_down()
        # Had it served the queue before, it might have taken what the heir should.
        async with arena.serving(arena.rescuer, case.queue):
            await arena.conclude(case)
