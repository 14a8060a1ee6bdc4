"""Faults in an order that a seed decides: ``python -m tests.kill_recover.soak``.

A fleet is kept under a load of every kind of journey, while one disaster after the
other befalls it, some of them two at a time. Each journey must end as an undisturbed
one does. Nobody stops at the first that does not: the report counts them.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import os
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from dbosify._runtime import embedded
from tests import reported
from tests.kill_recover import disasters, effects, report
from tests.kill_recover.disasters import DISASTERS, Season
from tests.kill_recover.fleet import fleet_on
from tests.kill_recover.journeys import JOURNEYS
from tests.kill_recover.ledger import (
    DoubledError,
    State,
    differences,
    go,
)
from tests.kill_recover.processes import GoneError, Stable

MEMBERS = 3

LEASE = 5.0
"""Seconds: the setting that users have."""

TRAVELLERS = 1
"""Of each kind of journey, each on its way all the time."""

CALM = 4.0
"""The most seconds between two disasters."""

LONGEST = 30.0
"""Seconds that the longer disasters may take."""

TWO_AT_ONCE = 0.2
"""How often a disaster does not come alone."""


@dataclass(slots=True)
class Outcome:
    """What a soak found.

    Attributes:
        seed: Of its order of faults.
        seconds: How long it took.
        faults: How often each disaster happened.
        journeys: How often each kind was made.
        lost: What did not end as it should, in words.
        doubled: What was done twice, in words.
        takeovers: Seconds until the runs of each dead process had been taken.
        slowest: Seconds of the longest journey.
    """

    seed: int
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    journeys: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    takeovers: list[float] = field(default_factory=list)
    slowest: float = 0.0


class Soak:
    """One soak.

    Args:
        season: Of disasters.
        outcome: To be filled in.
        until: The end of it on the monotonic clock.
    """

    def __init__(self, season: Season, outcome: Outcome, *, until: float) -> None:
        """Nothing has happened yet."""
        self._season = season
        self._outcome = outcome
        self._until = until
        self._undisturbed: list[State] = []

    async def run(self) -> None:
        """See how journeys end in peace, then see them through the disasters."""
        fleet = self._season.fleet
        await fleet.fill(MEMBERS)
        peaceful = (go(fleet, journey) for journey in JOURNEYS)
        self._undisturbed = list(await asyncio.gather(*peaceful))
        travellers = [
            asyncio.create_task(self._travel(number))
            for number in range(len(JOURNEYS) * TRAVELLERS)
        ]
        try:
            await self._strike()
            await asyncio.gather(*travellers)
        finally:
            for traveller in travellers:
                traveller.cancel()
            await asyncio.gather(*travellers, return_exceptions=True)

    async def _travel(self, number: int) -> None:
        index = number % len(JOURNEYS)
        journey, undisturbed = JOURNEYS[index], self._undisturbed[index]
        while time.monotonic() < self._until:
            began = time.monotonic()
            try:
                state = await go(self._season.fleet, journey)
            except DoubledError as error:
                self._note(self._outcome.doubled, str(error))
            except AssertionError as error:
                self._note(self._outcome.lost, str(error))
            else:
                for difference in differences(journey, state, undisturbed):
                    self._note(self._outcome.lost, difference)
            self._outcome.journeys[journey.name] += 1
            took = time.monotonic() - began
            self._outcome.slowest = max(self._outcome.slowest, took)

    def _note(self, found: list[str], text: str) -> None:
        found.append(text)
        _say(f"FOUND {text}")

    async def _strike(self) -> None:
        chance = self._season.chance
        # Each of them at least once, if there is time for that.
        names = iter(chance.sample(list(DISASTERS), len(DISASTERS)))
        endless = itertools.chain(names, self._more())
        while time.monotonic() < self._until:
            await asyncio.sleep(chance.uniform(0.2, CALM))
            count = 2 if chance.random() < TWO_AT_ONCE else 1
            chosen = list(itertools.islice(endless, count))
            self._season.long = chance.uniform(1.0, chance.choice((5.0, LONGEST)))
            _say(f"{' and '.join(chosen)}, {self._season.long:.0f} s")
            self._season.begin(alone=count == 1)
            struck = (self._befall(name) for name in chosen)
            await asyncio.gather(*struck)
            await self._season.fleet.fill(MEMBERS)

    def _more(self) -> itertools.chain[str]:
        chance = self._season.chance
        return itertools.chain.from_iterable(
            [chance.choice(list(DISASTERS))] for _ in itertools.count()
        )

    async def _befall(self, name: str) -> None:
        try:
            await DISASTERS[name](self._season)
        except (GoneError, ProcessLookupError):
            return  # whom it should strike ended before, in a disaster's wake
        except AssertionError as error:
            self._note(self._outcome.lost, f"{name}: {error}")
        self._outcome.faults[name] += 1


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


async def soak(minutes: float, seed: int) -> Outcome:
    """Do it.

    Args:
        minutes: How long journeys begin and disasters happen.
        seed: Of the order of disasters; what they strike depends on the moment too.
    """
    outcome = Outcome(seed)
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        world = stack.enter_context(embedded.start())
        effects.create_table(world.url)
        (home / "logs").mkdir()
        stable = Stable(world.url, home / "logs")
        stack.push_async_callback(stable.close)
        settings = {"DBOSIFY_LEASE_SECONDS": str(LEASE)}
        fleet = await stack.enter_async_context(
            fleet_on(home / "server", stable, world.url, settings=settings)
        )
        await disasters.prepare(fleet.url)
        season = Season(fleet, random.Random(seed), LONGEST, LEASE)
        until = time.monotonic() + minutes * 60
        await Soak(season, outcome, until=until).run()
        outcome.takeovers = season.takeovers
    outcome.seconds = time.monotonic() - began
    return outcome


def main() -> int:
    """Soak as the command line says; the exit status says whether all was well."""
    parser = argparse.ArgumentParser(description="Faults in a random order.")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--write", type=Path, help="put the report into this document")
    arguments = parser.parse_args()
    # What the client's connections say while there is no database is expected here.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    _say(f"seed {arguments.seed}, process {os.getpid()}")
    outcome = asyncio.run(soak(arguments.minutes, arguments.seed))
    text = report.of(outcome, minutes=arguments.minutes, members=MEMBERS)
    sys.stdout.write(text)
    if arguments.write is not None:
        reported.put(arguments.write, "soak", text)
    return 1 if outcome.lost or outcome.doubled else 0


if __name__ == "__main__":
    sys.exit(main())
