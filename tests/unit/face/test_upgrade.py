"""Workers that live outlast a migration that another process's newer release does."""

from __future__ import annotations

import psycopg
from psycopg import sql

from dbosify.client import Client
from tests.fix_postgres import FreshDatabase
from tests.unit.face.greeting import greeted, served, started
from tests.unit.face.workflows import Patient

OURS = """
SELECT table_name FROM information_schema.tables
WHERE table_schema = 'dbos' AND table_name ^@ 'dbosify_'
"""

ADD = sql.SQL("ALTER TABLE dbos.{} ADD COLUMN of_a_later_release int")

OFTEN_ENOUGH = 20
"""Greetings after which each connection has prepared the statements that it takes."""


async def test_a_worker_goes_on_while_its_schema_becomes_a_later_release_s(
    fresh_database: FreshDatabase,
) -> None:
    url = fresh_database()
    client = await Client.connect(url)
    async with served(client, max_cached_workflows=0) as worker:
        for _ in range(OFTEN_ENOUGH):
            await greeted(client, worker.task_queue)
        waiting = await started(client, worker.task_queue)
        with psycopg.connect(url, autocommit=True) as migration:
            for (table,) in migration.execute(OURS).fetchall():
                migration.execute(ADD.format(sql.Identifier(table)))
        for _ in range(OFTEN_ENOUGH):
            assert await greeted(client, worker.task_queue) == "Hello, Ada!"
        await waiting.signal(Patient.say, "still here")
        assert await waiting.result() == "still here"
    await client.close()
