"""A fleet under load is struck, and every run ends as if nothing had happened."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from tests.kill_recover import disasters
from tests.kill_recover.arena import Arena
from tests.kill_recover.disasters import DISASTERS, Season
from tests.kill_recover.fleet import fleet_on
from tests.kill_recover.journeys import JOURNEYS
from tests.kill_recover.ledger import State, differences, go

LEASE = 1.5
"""Seconds, so that nobody waits long for the dead."""

LONG = 5.0
"""Seconds that the longer disasters take."""

PATIENCE = 120.0
"""Seconds that a journey may take through one disaster."""

ROUNDS = 2
"""How often each journey begins, once before and once after the blow."""

MEMBERS = 2


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def season(
    arena: Arena, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Season]:
    """A fleet that nothing has happened to yet."""
    home = tmp_path_factory.mktemp("server")
    settings = {"DBOSIFY_LEASE_SECONDS": str(LEASE)}
    async with fleet_on(home, arena.stable, arena.url, settings=settings) as fleet:
        await disasters.prepare(fleet.url)
        yield Season(fleet, random.Random(6), LONG, LEASE)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def undisturbed(season: Season) -> Sequence[State]:
    """What becomes of each journey when nobody is struck."""
    await season.fleet.fill(MEMBERS)
    return await asyncio.gather(*(go(season.fleet, journey) for journey in JOURNEYS))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", DISASTERS)
async def test_every_run_ends_as_if_nothing_had_happened(
    season: Season, undisturbed: Sequence[State], name: str
) -> None:
    await season.fleet.fill(MEMBERS)
    before, after = [
        [
            asyncio.create_task(go(season.fleet, journey, PATIENCE))
            for journey in JOURNEYS
        ]
        for _ in range(ROUNDS)
    ]
    season.begin(alone=True)
    await DISASTERS[name](season)
    for states in (await asyncio.gather(*before), await asyncio.gather(*after)):
        together = zip(JOURNEYS, states, undisturbed, strict=True)
        assert [found for each in together for found in differences(*each)] == []
