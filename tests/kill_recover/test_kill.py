"""SIGKILL at every point: another worker finishes, and nothing happens twice."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("sequential activities", Point.BEFORE_ACTIVITY_END),
        ("queued activities", Point.BEFORE_ACTIVITY_END),
        ("continue-as-new", Point.AFTER_CLOSE),
        ("timers", Point.TIMER_FIRED),
    ],
    ids=lambda value: getattr(value, "name", value),
)
async def test_the_lease_of_a_worker_is_short_enough_unless_told_otherwise(
    arena: Arena, name: str, point: Point
) -> None:
    await arena.kill(scenario_named(name), point, hits=[1], lease=DEFAULT_LEASE)


@pytest.mark.parametrize("point", SECOND_DEATHS, ids=lambda point: point.name)
async def test_a_third_worker_finishes_when_the_second_dies_as_it_takes_over(
    arena: Arena, point: Point
) -> None:
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
