"""Opens very many runs that wait, and looks what that does to a worker.

The first few hundred runs are started; the rest are copies of one of them, because
starting a hundred thousand would take longer than all that is to be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg

from bench.mass.copies import make_copies
from bench.mass.worker import QUEUE, Process, worker_process
from bench.mass.workflows import Long, Waits
from bench.servers import Place, fresh_database, postgres
from dbosify.client import Client, WorkflowHandle

DAY = 86_400.0
SCHEMA = "dbos"

CACHED = 1_500
"""Runs that are started for real: more than a worker keeps in memory."""

SIGNALS = 200
TIMERS = 1_000
IDLE = 15.0
"""Seconds for which an idle worker is watched."""

LEAD = 45.0
"""Seconds from the start of the timers to the second in which they are due."""

PROMISES = {
    "memory_mib": 300.0,
    "idle_queries_per_second": 10.0,
    "signal_ms_max": 250.0,
    "timers_s": 5.0,
    "recovery_s": 10.0,
}
"""None of these may be exceeded."""

Handle = WorkflowHandle[Waits, str]
Found = dict[str, float]


async def _start(client: Client, number: int, until: float) -> list[Handle]:
    gate = asyncio.Semaphore(50)

    async def one() -> Handle:
        async with gate:
            return await client.start_workflow(
                Waits.run, until, id=str(uuid.uuid4()), task_queue=QUEUE
            )

    return await asyncio.gather(*(one() for _ in range(number)))


def _count(url: str, condition: str, *values: object) -> int:
    query = f'SELECT count(*) FROM "{SCHEMA}".workflow_status WHERE {condition}'
    with psycopg.connect(url, autocommit=True) as connection:
        [(found,)] = connection.execute(query.encode(), values).fetchall()
    return int(found)


async def _until(holds: Callable[[], bool], patience: float) -> None:
    deadline = time.monotonic() + patience
    while not await asyncio.to_thread(holds):
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not come")
        await asyncio.sleep(0.05)


async def _wait_until_all_wait(url: str, most_owned: int) -> None:
    def settled() -> bool:
        queued = _count(url, "status = 'ENQUEUED'")
        return not queued and _count(url, "status = 'PENDING'") <= most_owned

    await _until(settled, 300)


def _transactions(place: Place) -> int:
    with psycopg.connect(place.counter_url or "", autocommit=True) as connection:
        query = (
            "SELECT xact_commit + xact_rollback FROM pg_stat_database"
            " WHERE datname = %s"
        )
        [(found,)] = connection.execute(query, [place.database]).fetchall()
    return int(found)


async def _idle(place: Place) -> float:
    await asyncio.sleep(IDLE / 3)  # the queries of the beginning are told late
    before, began_at = _transactions(place), time.monotonic()
    await asyncio.sleep(IDLE)
    return (_transactions(place) - before) / (time.monotonic() - began_at)


async def _signals(client: Client, workflow_ids: list[str]) -> Found:
    spent = []
    for workflow_id in random.sample(workflow_ids, SIGNALS):
        handle = client.get_workflow_handle(workflow_id)
        began_at = time.perf_counter()
        await handle.signal(Waits.say, "now")
        if await handle.result() != "now":
            raise ValueError("the run did not hear the signal")
        spent.append((time.perf_counter() - began_at) * 1000)
    return {
        "signal_ms_median": statistics.median(spent),
        "signal_ms_max": max(spent),
    }


async def _timers(url: str, handles: list[Handle], until: float) -> float:
    """Seconds from the moment at which the last was due to the end of all."""
    await asyncio.sleep(max(until - time.time(), 0))
    names = [f"{handle.id}/{handle.result_run_id}" for handle in handles]

    def over() -> bool:
        found = _count(url, "workflow_uuid = ANY(%s) AND status = 'SUCCESS'", names)
        return found == len(names)

    await _until(over, 120)
    return time.time() - until


async def _long_story(client: Client, url: str, events: int) -> Found:
    # Each round has ten timers of two events each, and a task of three for them all.
    rounds, timers = events // 23 + 1, 10
    async with worker_process(url):
        handle = await client.start_workflow(
            Long.run, args=[rounds, timers], id=str(uuid.uuid4()), task_queue=QUEUE
        )
        began_at = time.monotonic()
        while await handle.query(Long.rounds) < rounds:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(1)
        spent = time.monotonic() - began_at
    length = (await handle.describe()).history_length
    async with worker_process(url) as process:
        began_at = time.monotonic()
        if await handle.query(Long.rounds) != rounds:
            raise ValueError("the run was not rebuilt as it was")
        found = {
            "events": float(length),
            "making_s": spent,
            "recovery_s": time.monotonic() - began_at,
            "recovery_memory_mib": process.memory().peak,
        }
    await handle.terminate()
    return found


async def _mass(client: Client, place: Place, runs: int) -> Found:
    url, found = place.address, Found()

    def remember(name: str, process: Process) -> None:
        memory = process.memory()
        found[f"{name}_mib"] = memory.now
        found["memory_mib"] = max(found.get("memory_mib", 0.0), memory.peak)

    async with worker_process(url) as process:
        remember("empty", process)
        handles = await _start(client, CACHED, time.time() + DAY)
        await _wait_until_all_wait(url, 1_000)
        remember("full_cache", process)
    first = handles[0]
    copies = await asyncio.to_thread(
        make_copies,
        url,
        schema=SCHEMA,
        workflow_uuid=f"{first.id}/{first.result_run_id}",
        number=runs - CACHED,
    )
    async with worker_process(url) as process:
        found["parked"] = float(_count(url, "status = 'DELAYED'"))
        found["idle_queries_per_second"] = await _idle(place)
        remember("idle", process)
        found |= await _signals(client, copies)
        remember("signals", process)
        until = time.time() + LEAD
        handles = await _start(client, TIMERS, until)
        await _wait_until_all_wait(url, 1_000)
    async with worker_process(url) as process:
        found["timers_s"] = await _timers(url, handles, until)
        remember("timers", process)
    return found


async def _measure(place: Place, runs: int, events: int) -> Found:
    client = await Client.connect(place.address)
    async with client:
        steps: list[Awaitable[Found]] = []
        if runs:
            steps.append(_mass(client, place, runs))
        if events:
            steps.append(_long_story(client, place.address, events))
        found: Found = {}
        for step in steps:
            found |= await step
        return found


def main() -> int:
    """Measure, print what was found as JSON; fail if a promise is not kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.mass", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=100_000, help="open at the same time"
    )
    parser.add_argument(
        "--events", type=int, default=20_000, help="of the long history"
    )
    parser.add_argument("--postgres", metavar="URL", help="not the embedded one")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="mass-", ignore_cleanup_errors=True) as data,
        postgres(options.postgres, Path(data)) as server,
        fresh_database(server) as place,
    ):
        found = asyncio.run(_measure(place, options.runs, options.events))
    print(
        json.dumps({name: round(value, 1) for name, value in found.items()}, indent=1)
    )
    broken = [
        f"{name} is {found[name]:.1f}, more than {most:g}"
        for name, most in PROMISES.items()
        if found.get(name, 0.0) > most
    ]
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
