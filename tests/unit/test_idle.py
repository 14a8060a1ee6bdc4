"""A worker with nothing to do leaves the database in peace."""

from __future__ import annotations

import psycopg

from dbosify.client import Client
from tests.fix_postgres import FreshDatabase
from tests.unit.face.greeting import greeted, served
from tests.waiting import eventually

MOST = 10.0
"""Transactions a second: the promise, with DBOS's own."""

LEAST = 1.5
"""A lease is renewed and due work is looked for; fewer would mean a wrong count."""

WINDOW = 6.0
"""Seconds; a backend tells its count up to a second late."""

RENEWED = """
SELECT extract(epoch FROM expires_at)::float8 FROM {schema}.dbosify_workers
"""

COUNT = """
SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s
"""


async def test_an_idle_worker_asks_at_most_ten_queries_a_second(
    fresh_database: FreshDatabase, postgres_url: str
) -> None:
    url = fresh_database()
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    async with await Client.connect(url) as client, served(client) as worker:
        await greeted(client, worker.task_queue)
        # From another database, so that counting is not counted.
        async with (
            await psycopg.AsyncConnection.connect(
                postgres_url, autocommit=True
            ) as counter,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as inside,
        ):
            renewed = RENEWED.format(schema="dbos").encode()
            asked = 0

            async def number(
                connection: psycopg.AsyncConnection[tuple[float]],
                query: bytes,
                *values: str,
            ) -> float:
                row = await (await connection.execute(query, values)).fetchone()
                assert row is not None
                return row[0]

            began_at = await number(inside, renewed)
            before = await number(counter, COUNT.encode(), str(name))

            async def seconds() -> float:
                nonlocal asked
                asked += 1
                passed = await number(inside, renewed) - began_at
                assert passed >= WINDOW
                return passed

            passed = await eventually(seconds, patience=30, pause=1.0)
            after = await number(counter, COUNT.encode(), str(name))
    rate = (after - before - asked) / passed
    assert LEAST <= rate <= MOST
