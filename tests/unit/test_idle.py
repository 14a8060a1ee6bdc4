"""A worker with nothing to do leaves the database in peace."""

from __future__ import annotations

from typing import TypeAlias

import psycopg
from typing_extensions import LiteralString

from dbosify.client import Client
from tests.fix_postgres import FreshDatabase
from tests.unit.face.greeting import greeted, served
from tests.waiting import eventually

Connection: TypeAlias = psycopg.AsyncConnection[tuple[float]]

MOST = 10.0
"""Transactions a second: the promise, with DBOS's own."""

LEAST = 1.5
"""A lease is renewed and due work is looked for; fewer would mean a wrong count."""

WINDOW = 5.0
"""Seconds."""

RENEWED = """
SELECT extract(epoch FROM expires_at)::float8 FROM dbos.dbosify_workers
"""

COUNT = """
SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s
"""


async def test_an_idle_worker_asks_at_most_ten_queries_a_second(
    fresh_database: FreshDatabase, postgres_url: str
) -> None:
    url = fresh_database()
    async with await Client.connect(url) as client, served(client) as worker:
        await greeted(client, worker.task_queue)
        # From another database, so that counting is not counted.
        async with (
            await psycopg.AsyncConnection.connect(
                postgres_url, autocommit=True
            ) as counter,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as inside,
        ):

            async def is_idle() -> None:
                assert LEAST <= await rate(counter, inside) <= MOST

            # A connection that has done something tells its count once it is idle for
            # ten seconds, so what the start asked may be counted after it.
            await eventually(is_idle, patience=45)


async def rate(counter: Connection, inside: Connection) -> float:
    """Transactions a second in the database of `inside`, but for those of this test."""
    name = inside.info.dbname
    asked = 0
    began_at = await number(inside, RENEWED)
    before = await number(counter, COUNT, name)

    async def seconds() -> float:
        nonlocal asked
        asked += 1
        passed = await number(inside, RENEWED) - began_at
        assert passed >= WINDOW
        return passed

    passed = await eventually(seconds, patience=30, pause=1.0)
    after = await number(counter, COUNT, name)
    return (after - before - asked) / passed


async def number(connection: Connection, query: LiteralString, *values: str) -> float:
    """The one number that a query gives."""
    row = await (await connection.execute(query, values)).fetchone()
    assert row is not None
    return row[0]
