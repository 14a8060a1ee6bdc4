"""A connection that a caller gave up on must not answer the next caller."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from dbosify._store.engine import Call, Database
from dbosify._store.migrate import ensure_schema
from dbosify._store.url import DatabaseUrl
from tests.fix_postgres import FreshDatabase
from tests.waiting import PATIENCE

NOW = Call("now", {})
BIG = 8_000_000
"""Bytes that no socket's buffer holds."""
MOMENTS = 60
"""Steps of the event loop that a batch of statements does not outlast."""


@pytest_asyncio.fixture
async def database(fresh_database: FreshDatabase) -> AsyncIterator[Database]:
    """A migrated database with one connection, so that callers follow each other."""
    url = DatabaseUrl.parse(fresh_database())
    ensure_schema(url, schema="dbos", namespace="default", migrate=True)
    database = Database(url, "dbos", pool_size=1)
    yield database
    await database.close()


async def cancelled_after(steps: int, database: Database) -> bool:
    """Run a batch and cancel it; whether it was still under way."""
    batch = asyncio.create_task(database.fetch_together([NOW, NOW]))
    loop = asyncio.get_running_loop()

    def cancel(left: int) -> None:
        if left:
            loop.call_soon(cancel, left - 1)
        else:
            batch.cancel()

    cancel(steps)
    try:
        await batch
    except asyncio.CancelledError:
        return True
    return False


async def test_a_cancelled_batch_does_not_hide_the_rows_of_what_follows(
    database: Database,
) -> None:
    assert len(await database.fetch("now", {})) == 1
    interrupted = 0
    for steps in range(MOMENTS):
        interrupted += await cancelled_after(steps, database)
        assert len(await database.fetch("now", {})) == 1
    assert interrupted


async def test_a_batch_is_sent_whole_however_big_it_is(database: Database) -> None:
    connection = await database.connect()

    async def batch() -> object:
        async with connection.pipeline() as pipeline, connection.transaction():
            size = await connection.execute("SELECT length(%s)", ["x" * BIG])
            back = await connection.execute("SELECT %s AS back", ["y" * BIG])
            await pipeline.sync()
            return await size.fetchall(), await back.fetchall()

    answers = await asyncio.wait_for(batch(), PATIENCE)
    assert answers == ([{"length": BIG}], [{"back": "y" * BIG}])
    await connection.close()


async def test_no_process_keeps_the_locks_of_a_transaction_for_ever(
    database: Database,
) -> None:
    async with database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT current_setting('idle_in_transaction_session_timeout') AS idle,"
            " current_setting('transaction_timeout', true) AS longest,"
            " current_setting('server_version_num')::int AS version"
        )
        (found,) = await cursor.fetchall()
    assert found["idle"] == "5s"
    assert found["longest"] == ("15s" if found["version"] >= 170000 else None)
