"""SIGKILL at every point: another worker finishes, and nothing happens twice."""

from __future__ import annotations

import pytest

from dbosify._runtime.faults import Point
from tests.kill_recover.arena import Arena
from tests.kill_recover.cases import CASES, Scenario


@pytest.mark.parametrize(
    ("scenario", "point"),
    [pytest.param(*case, id=f"{case[0].name}-{case[1].name}") for case in CASES],
)
async def test_another_worker_finishes_what_a_killed_one_began(
    arena: Arena, scenario: Scenario, point: Point
) -> None:
    await arena.kill(scenario, point, hits=scenario.hits[point])
