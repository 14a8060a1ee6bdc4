"""A worker that is told to go hands its runs over at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.kill_recover import effects, evidence
from tests.kill_recover.arena import Arena, Case
from tests.kill_recover.cases import Scenario, scenario_named
from tests.kill_recover.scenarios import SIGNALS, Lingers, LongTimer, Signals
from tests.waiting import eventually

LONG_LEASE = {"DBOSIFY_LEASE_SECONDS": "120"}
"""Whoever waits for it to run out comes too late."""

MANY = 15


def _scenario(workflow: type, result: object, **options: bool) -> Scenario:
    return Scenario(workflow.__name__, workflow, [result], {}, {}, options=options)


@asynccontextmanager
async def _leaving(arena: Arena, scenario: Scenario) -> AsyncIterator[Case]:
    """A run of a worker that will be told to go, and then does so properly."""
    async with arena.victim(scenario, "", LONG_LEASE) as case:
        await arena.begin(case)
        async with arena.serving(arena.rescuer, case.queue):
            yield case
            assert case.victim.pid not in await evidence.leases(arena.url)


async def test_a_run_that_waits_for_a_signal_goes_on_elsewhere(arena: Arena) -> None:
    scenario = _scenario(Signals, ["before", *SIGNALS, "after"])
    async with _leaving(arena, scenario) as case:
        handle = arena.client.get_workflow_handle(case.workflow_id)
        await eventually(lambda: arena.waits(case))
        await case.victim.dismiss()
        case.is_down()
        for word in SIGNALS:
            await handle.signal("say", word)
        await arena.conclude(case)


async def test_a_timer_runs_on_elsewhere(arena: Arena) -> None:
    async with _leaving(arena, _scenario(LongTimer, ["after"])) as case:
        await eventually(lambda: arena.waits(case))
        await case.victim.dismiss()
        case.is_down()
        await arena.conclude(case)


@pytest.mark.parametrize("eager", [True, False], ids=["eager", "queued"])
async def test_a_running_activity_is_tried_again_elsewhere(
    arena: Arena, eager: bool
) -> None:
    scenario = _scenario(
        Lingers, "attempt 2", disable_eager_activity_execution=not eager
    )
    async with arena.victim(scenario, "", LONG_LEASE) as case:
        await arena.begin(case)

        async def lingers() -> None:
            assert await effects.read(arena.url, case.workflow_id)

        await eventually(lingers)
        async with arena.serving(arena.rescuer, case.queue):
            await case.victim.dismiss()
            case.is_down()
            await arena.conclude(case)


async def test_nothing_is_lost_when_a_busy_worker_leaves(arena: Arena) -> None:
    scenario = scenario_named("continue-as-new")
    async with arena.victim(scenario, "", LONG_LEASE) as case:
        others = [
            Case(scenario, case.victim, f"run {number}", queue=case.queue)
            for number in range(MANY)
        ]
        async with arena.serving(arena.rescuer, case.queue):
            for other in others:
                await arena.begin(other)
            await case.victim.dismiss()
            for other in others:
                other.is_down()
            await asyncio.gather(*(arena.conclude(other) for other in others))


async def test_what_is_started_while_the_worker_leaves_is_not_lost(
    arena: Arena,
) -> None:
    scenario = scenario_named("sequential activities")
    async with arena.victim(scenario, "", LONG_LEASE) as case:
        others = [
            Case(scenario, case.victim, f"run {number}", queue=case.queue)
            for number in range(MANY)
        ]
        async with arena.serving(arena.rescuer, case.queue):
            await case.victim.order(
                do="bow out",
                ids=[other.workflow_id for other in others],
                queue=case.queue,
                workflow=scenario.workflow.__name__,
                args=[],
            )
            for other in others:
                other.is_down()
            await asyncio.gather(*(arena.conclude(other) for other in others))
