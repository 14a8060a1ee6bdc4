"""Counts the Postgres transactions that a piece of work costs.

Two counters, because each has a blind spot. `xact_commit` sees reads too, but a backend
publishes its figures only some seconds after it went idle, and an idle engine's own
looks around are in it. Transaction ids are exact at once, but only writers draw them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg

from bench.results import Transactions

SETTLING = 11.0
"""Longer than the 10 s after which an idle backend publishes its statistics."""

_COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = %s"
_NEXT_ID = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


async def _one_number(
    connection: psycopg.AsyncConnection[tuple[int]], query: str, *values: str
) -> int:
    row = await (await connection.execute(query.encode(), values)).fetchone()
    if row is None:
        raise LookupError("the database to count in does not exist")
    return row[0]


async def _settled_commits(
    connection: psycopg.AsyncConnection[tuple[int]], database: str, settling: float
) -> int:
    await asyncio.sleep(settling)
    await connection.execute("SELECT pg_stat_force_next_flush()")
    return await _one_number(connection, _COMMITS, database)


async def count_transactions(
    work: Callable[[], Awaitable[None]],
    *,
    activities: int,
    url: str,
    database: str,
    settling: float = SETTLING,
) -> Transactions:
    """Run the work and count what it cost per activity.

    Args:
        work: The work to run once.
        activities: How many activities it is.
        url: Another database of the same server, so that counting is not counted.
        database: The database the engine works in.
        settling: How long to wait for idle backends to publish their statistics.
    """
    connection: psycopg.AsyncConnection[tuple[int]]
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True
    ) as connection:
        before = await _settled_commits(connection, database, settling)
        first_id = await _one_number(connection, _NEXT_ID)
        await work()
        last_id = await _one_number(connection, _NEXT_ID)
        after = await _settled_commits(connection, database, settling)
        # The same wait again shows what the engine commits while nothing runs.
        idle = await _settled_commits(connection, database, settling) - after
    return Transactions(
        activities=activities,
        committed=(after - before - idle) / activities,
        writing=(last_id - first_id) / activities,
    )
