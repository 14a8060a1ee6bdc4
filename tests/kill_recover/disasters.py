"""What can befall a fleet, each as something that happens and is over.

A disaster is called with a fleet under load, does its harm, and leaves the fleet as
strong as it was. How long it takes is a parameter: seconds in a quick test, as long as
things take outside in a soak.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from dbosify._runtime.faults import Point
from tests.kill_recover import evidence
from tests.kill_recover.evidence import SCHEMA
from tests.kill_recover.fleet import Fleet, Member
from tests.kill_recover.processes import GoneError
from tests.waiting import eventually

HOUR = 3600

TAKEOVER_PATIENCE = 90.0
"""Seconds after which runs of the dead that nobody took are given up."""

REFUSING = "dbosify_executions", "dbosify_activities", "operation_outputs"
"""Tables whose rows make a commit fail, while commits are to fail."""

SERIALIZATION, DISK_FULL = "40001", "53100"


@dataclass(slots=True)
class Season:
    """A time in which disasters happen.

    Attributes:
        fleet: Whom they strike.
        chance: Decides all that is left to it.
        long: Seconds that the longer ones take.
        lease: Seconds of the members' leases.
        takeovers: Seconds from each death until all runs of the dead were taken, of
            those that died while nothing else was wrong.
        alone: Whether a disaster happens with no other at the same time.
    """

    fleet: Fleet
    chance: random.Random
    long: float
    lease: float
    takeovers: list[float] = field(default_factory=list)
    alone: bool = True
    _struck: list[Member] = field(default_factory=list)

    def begin(self, *, alone: bool) -> None:
        """Let the next disaster come, or the next two."""
        self.alone = alone
        self._struck.clear()

    def victim(self) -> Member:
        """Whom it strikes: nobody who has enough trouble with another disaster.

        Raises:
            GoneError: There is nobody.
        """
        living = (member for member in self.fleet.members if member.reins.alive)
        spared = [member for member in living if member not in self._struck]
        if not spared:
            raise GoneError
        member = self.chance.choice(spared)
        self._struck.append(member)
        return member

    async def newcomer(self, *, fault: str = "", clock: int = 0) -> Member:
        """Another process, which no other disaster strikes."""
        member = await self.fleet.hire(fault=fault, clock=clock)
        self._struck.append(member)
        return member

    def clock(self) -> int:
        """Of a new process: every third is an hour off."""
        return self.chance.choice((0, 0, 0, 0, HOUR, -HOUR))


async def kill(season: Season) -> None:
    """SIGKILL, at any moment."""
    member = season.victim()
    executor = await season.fleet.executor_of(member)
    async with _taken_over(season, executor):
        member.reins.send(signal.SIGKILL)
        await member.reins.killed()
        await season.fleet.bury(member)
    await season.newcomer(clock=season.clock())


async def kill_at_a_point(season: Season) -> None:
    """SIGKILL at one of the points that the runtime names, if it gets there in time."""
    point = season.chance.choice(list(Point))
    fault = f"{point.name}:kill:{season.chance.randint(1, 20)}"
    try:
        member = await season.newcomer(fault=fault)
    except (GoneError, asyncio.TimeoutError):
        return  # it was there before it had told us that it serves

    async def dead() -> None:
        assert not member.reins.alive

    with suppress(AssertionError):
        await eventually(dead, patience=season.long)
    # Not by a dismissal: it may get to its point on the way out.
    await season.fleet.bury(member)


async def stop(season: Season) -> None:
    """SIGSTOP past the lease, then SIGCONT: it wakes up in a world that moved on."""
    member = season.victim()
    # Asked before: one that another disaster left without a lease takes a new one.
    executor = await season.fleet.executor_of(member)
    with member.reins.held():
        async with _taken_over(season, executor):
            pass


async def replace_gracefully(season: Season) -> None:
    """A rolling restart's one step."""
    member = season.victim()
    await season.newcomer(clock=season.clock())
    if not member.reins.alive:
        raise GoneError
    await season.fleet.dismiss(member)


async def terminate_backends(season: Season) -> None:
    """``pg_terminate_backend`` of every connection that there is."""
    await _execute(
        season.fleet.url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


async def restart(season: Season) -> None:
    """Postgres is stopped at once, and started again."""
    await season.fleet.server.fail()


async def outage(season: Season) -> None:
    """Postgres is away for a while."""
    await season.fleet.server.fail(season.long)


async def cut(season: Season) -> None:
    """A process loses its network for a while, and its lease if that is long."""
    with season.victim().network.cut():
        await asyncio.sleep(season.chance.uniform(0.5, season.lease * 2))


async def silence(season: Season) -> None:
    """A process's connections stay open, but nothing arrives any more."""
    member = season.victim()
    executor = await season.fleet.executor_of(member)
    async with _taken_over(season, executor):
        member.network.silence()


async def full_disk(season: Season) -> None:
    """A third of the commits fail because nothing can be written."""
    await _refuse(season, DISK_FULL)


async def conflicts(season: Season) -> None:
    """A third of the commits fail because others were quicker."""
    await _refuse(season, SERIALIZATION)


async def wrong_clocks(season: Season) -> None:
    """Two processes serve whose clocks are two hours apart."""
    members = [await season.newcomer(clock=ahead) for ahead in (HOUR, -HOUR)]
    await asyncio.sleep(season.long)
    for member in members:
        await season.fleet.dismiss(member)


Disaster = Callable[[Season], Awaitable[None]]

DISASTERS: dict[str, Disaster] = {
    "SIGKILL": kill,
    "SIGKILL at a named point": kill_at_a_point,
    "SIGSTOP past the lease, SIGCONT": stop,
    "graceful restart": replace_gracefully,
    "pg_terminate_backend of all": terminate_backends,
    "Postgres restart -m immediate": restart,
    "Postgres down": outage,
    "network cut": cut,
    "half-open connections": silence,
    "disk full at commit": full_disk,
    "serialization failure at commit": conflicts,
    "clocks an hour off": wrong_clocks,
}
"""By the name that reports give them."""


@asynccontextmanager
async def _taken_over(season: Season, executor: str) -> AsyncIterator[None]:
    """Measure how long the runs of a process wait for another from here on."""
    fleet = season.fleet
    owned = sql.SQL(
        "SELECT workflow_uuid, owner_xid FROM {}.workflow_status"
        " WHERE executor_id = %s AND status = 'PENDING'"
    ).format(sql.Identifier(SCHEMA))
    still = sql.SQL(
        "SELECT workflow_uuid FROM {}.workflow_status AS now"
        " JOIN unnest(%s::text[], %s::text[]) AS was (uuid, token)"
        " ON now.workflow_uuid = was.uuid"
        " WHERE now.owner_xid = was.token AND now.status = 'PENDING'"
        " OR now.status = 'ENQUEUED' AND now.owner_xid IS NULL"
    ).format(sql.Identifier(SCHEMA))
    yield
    struck = time.monotonic()
    rows = await eventually(
        lambda: evidence.fetch(fleet.url, owned, (executor,)),
        patience=TAKEOVER_PATIENCE,
        retry_on=psycopg.OperationalError,
    )
    uuids = [row["workflow_uuid"] for row in rows]
    tokens = [row["owner_xid"] for row in rows]

    async def taken() -> None:
        left = await evidence.fetch(fleet.url, still, (uuids, tokens))
        assert not left, f"nobody took over: {left}"

    trouble = (AssertionError, psycopg.OperationalError)
    await eventually(taken, patience=TAKEOVER_PATIENCE, retry_on=trouble)
    if season.alone:
        season.takeovers.append(time.monotonic() - struck)


async def prepare(url: str) -> None:
    """Make commits refusable: a trigger that asks a table at the end of each."""
    await _execute(url, "CREATE TABLE refused (code text)")
    await _execute(url, "CREATE SEQUENCE refusals")
    await _execute(
        url,
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE refusal text;
        BEGIN
          SELECT code INTO refusal FROM public.refused;
          -- A sequence goes on counting whatever is rolled back.
          IF refusal IS NOT NULL AND nextval('public.refusals') % 3 = 0 THEN
            RAISE EXCEPTION 'refused' USING ERRCODE = refusal;
          END IF;
          RETURN NULL;
        END $$
        """,
    )
    for table in REFUSING:
        await _execute(
            url,
            f"CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE OR DELETE"
            f" ON {SCHEMA}.{table} DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION public.refuse()",
        )


async def _refuse(season: Season, code: str) -> None:
    url = season.fleet.url
    await _execute(url, f"INSERT INTO refused VALUES ('{code}')")
    try:
        await asyncio.sleep(season.long)
    finally:
        await _execute(url, "DELETE FROM refused")


async def _execute(url: str, statement: str) -> None:
    # Another disaster may be at work, and Postgres away for a while.
    async def executed() -> None:
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
        async with connection:
            await connection.execute(statement.encode())

    await eventually(executed, patience=120, retry_on=psycopg.OperationalError)
