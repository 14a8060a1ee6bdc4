"""Six processes share two queues, and are replaced one after the other under load."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from psycopg import sql

from dbosify.client import WorkflowHandle
from tests.kill_recover import evidence
from tests.kill_recover.arena import IDLE, RECOVERY, Arena
from tests.kill_recover.fleet import Fleet, Member, fleet_on
from tests.kill_recover.processes import Reins
from tests.kill_recover.scenarios import SIGNALS, Sequential, Signals
from tests.waiting import eventually

SIZE = 6
QUEUES = ("fleet-a", "fleet-b")

LEASE = 1.5
"""Seconds, so that nobody waits long for the dead."""

BURST = 60

WAITING = 18
"""Runs that wait for a signal while processes come and go."""

AT_ONCE = 8
"""Runs that are under way at any time, each with three activities."""

ROUNDS = 2
"""In each, a process dies and another one leaves."""

HAND_BACK = 0.2
"""Seconds that a process which leaves takes if nothing else keeps the machine busy; so
the quickest one is what counts."""

PATIENCE = 60.0
"""Seconds, for what is not itself promised to be quick."""

OWNED = """
SELECT l.pid, count(*)
FROM {schema}.workflow_status w JOIN {schema}.dbosify_workers l USING (executor_id)
WHERE w.status = 'PENDING' GROUP BY l.pid
"""

NAMED = """
SELECT count(*) FROM {schema}.workflow_status
WHERE status = 'PENDING' AND executor_id = %s
"""

Handle: TypeAlias = WorkflowHandle[Any, list[str]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fleet(
    arena: Arena, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fleet]:
    """All six, each of whom knows of the five others."""
    async with fleet_on(
        tmp_path_factory.mktemp("server"),
        arena.stable,
        arena.url,
        settings={"DBOSIFY_LEASE_SECONDS": str(LEASE)},
        queues=QUEUES,
    ) as fleet:
        await fleet.fill(SIZE)
        for member in fleet.members:
            await eventually(partial(_acquainted, member.reins))
        yield fleet


async def _acquainted(reins: Reins) -> None:
    assert await reins.order(do="colleagues") == dict.fromkeys(QUEUES, SIZE)


async def _read(fleet: Fleet, query: str, *values: object) -> list[evidence.Row]:
    text = sql.SQL(query).format(schema=sql.Identifier(evidence.SCHEMA))
    return await evidence.fetch(fleet.url, text, values)


async def _start(fleet: Fleet, workflow: Any, number: int) -> list[Handle]:
    queues = itertools.islice(itertools.cycle(fleet.queues), number)
    starts = (
        fleet.client.start_workflow(
            workflow, id=f"run-{uuid.uuid4()}", task_queue=queue
        )
        for queue in queues
    )
    handles: list[Handle] = await asyncio.gather(*starts)
    return handles


async def _start_waiting(fleet: Fleet, number: int) -> list[Handle]:
    """Runs that have done a thing, and wait for signals."""

    async def wait(handle: Handle) -> None:
        events = (await handle.fetch_history()).events
        assert events[-1].event_type == IDLE
        assert len(events) > IDLE

    handles = await _start(fleet, Signals.run, number)
    for handle in handles:
        await eventually(partial(wait, handle), patience=PATIENCE)
    return handles


async def _go_on(fleet: Fleet, waiting: Sequence[Handle]) -> None:
    """Let them go on, and see how they end."""
    for word in SIGNALS:
        await asyncio.gather(*(handle.signal("say", word) for handle in waiting))
    for handle in waiting:
        assert await handle.result() == ["before", *SIGNALS, "after"]


async def _check(fleet: Fleet, handle: Handle) -> None:
    """Nothing is lost, and nothing doubled but what a dead process had begun."""
    await evidence.check(
        fleet.client,
        fleet.url,
        handle.id,
        attempts=SIZE,
        effects_url=fleet.effects_url,
    )


async def test_no_process_takes_twice_its_share_of_a_burst(fleet: Fleet) -> None:
    waiting = await _start_waiting(fleet, BURST)
    owned = {row["pid"]: row["count"] for row in await _read(fleet, OWNED)}
    assert sum(owned.values()) == BURST
    assert max(owned.values()) <= 2 * BURST / SIZE, owned
    await _go_on(fleet, waiting)


@asynccontextmanager
async def _load(fleet: Fleet) -> AsyncIterator[list[float]]:
    """Runs of three activities, one after the other; their durations, in seconds."""
    durations: list[float] = []
    over = False

    async def work() -> None:
        while not over:
            began_at = time.monotonic()
            [handle] = await _start(fleet, Sequential.run, 1)
            assert await handle.result() == ["first", "second", "third"]
            durations.append(time.monotonic() - began_at)
            await _check(fleet, handle)

    works = [asyncio.create_task(work()) for _ in range(AT_ONCE)]
    try:
        yield durations
        over = True
        await asyncio.gather(*works)
    finally:
        for each in works:
            each.cancel()


async def _killed(fleet: Fleet, member: Member) -> None:
    member.reins.send(signal.SIGKILL)
    await fleet.bury(member)


async def _time_of_leaving(
    fleet: Fleet, leave: Callable[[Fleet, Member], Awaitable[None]]
) -> float:
    """Seconds until no run is that of the process which goes; another one comes."""
    member = fleet.members[0]
    executor = await fleet.executor_of(member)

    async def owns_nothing() -> None:
        assert await _read(fleet, NAMED, executor) == [{"count": 0}]

    began_at = time.monotonic()
    leaving = asyncio.ensure_future(leave(fleet, member))
    await eventually(owns_nothing, patience=PATIENCE, pause=0.01)
    spent = time.monotonic() - began_at
    await leaving
    await fleet.fill(SIZE)
    return spent


@pytest.mark.timeout(120)
async def test_all_work_goes_on_while_processes_die_and_leave(fleet: Fleet) -> None:
    waiting = await _start_waiting(fleet, WAITING)
    takeovers, departures = [], []
    async with _load(fleet) as durations:
        for _ in range(ROUNDS):
            takeovers.append(await _time_of_leaving(fleet, _killed))
            departures.append(await _time_of_leaving(fleet, Fleet.dismiss))
    await _go_on(fleet, waiting)
    for handle in waiting:
        await _check(fleet, handle)
    assert max(takeovers) <= LEASE + 2
    assert min(departures) <= HAND_BACK
    assert max(durations) <= RECOVERY
