"""Schedules do as their policies say while their workers are killed.

`nox -s schedules_under_fire` has more of them, for longer.
"""

from __future__ import annotations

import random

import pytest

from dbosify.client import Client
from tests.kill_recover.arena import Arena
from tests.kill_recover.under_fire import KINDS, NAMESPACE, Battle, Plan

PLAN = Plan(schedules=len(KINDS), seconds=12, kill_every=4, lease=1.5)


@pytest.mark.timeout(360)
async def test_no_action_is_missed_or_doubled_while_workers_are_killed(
    arena: Arena,
) -> None:
    async with await Client.connect(arena.url, namespace=NAMESPACE) as client:
        chance = random.Random(6)
        battle = Battle(PLAN, client, arena.stable, url=arena.url, chance=chance)
        outcome = await battle.fight()
    assert outcome.wrong == []
    assert outcome.deaths > 0
    assert outcome.times >= PLAN.seconds * PLAN.schedules / 2
