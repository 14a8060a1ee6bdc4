"""The tables of what is killed where, held against runs that nobody disturbs."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from dbosify._runtime.faults import Point
from tests.kill_recover import evidence
from tests.kill_recover.arena import Arena, Case
from tests.kill_recover.cases import OF_NO_RUN, SCENARIOS, Scenario, scenario_named


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_an_undisturbed_run_passes_the_points_as_the_tables_say(
    arena: Arena, scenario: Scenario
) -> None:
    async with AsyncExitStack() as stack:
        worker = await stack.enter_async_context(arena.stable.process())
        case = Case(scenario, worker, f"{scenario.name}, undisturbed")
        options = {"nexus": scenario.nexus, **scenario.options}
        await worker.order(do="serve", queue=case.queue, **options)
        if not scenario.options.get("activities", True):
            rescuer = arena.serving(arena.rescuer, case.queue)
            await stack.enter_async_context(rescuer)
        await arena.begin(case)
        await arena.result(case)
        # Only then has it passed what comes after the close.
        await worker.order(do="leave", queue=case.queue)
        passed = await worker.order(do="census")
        await evidence.check(
            arena.client,
            arena.url,
            case.workflow_id,
            attempts=1,
            endings=scenario.endings,
        )
    for point, hits in scenario.hits.items():
        assert passed.get(point.name, 0) >= max(hits), point
    assert [p for p in scenario.never_passed if p.name in passed] == []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_each_point_is_hit_or_has_a_reason_not_to_be(scenario: Scenario) -> None:
    never = scenario.never_passed.keys()
    spared = set(Point) - OF_NO_RUN - scenario.hits.keys() - never
    assert not scenario.hits.keys() & never
    if spared:
        assert spared <= scenario_named(scenario.elsewhere).hits.keys()
    else:
        assert not scenario.elsewhere
