"""A worker that cannot begin leaves nothing behind that goes on working."""

import psycopg
import pytest

from dbosify.client import Client
from tests.fix_postgres import FreshDatabase
from tests.unit.face.greeting import greeted, served

REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON dbos.dbosify_worker_instances
FOR EACH ROW EXECUTE FUNCTION refuse();
"""


async def test_a_worker_that_cannot_begin_takes_no_runs(
    fresh_database: FreshDatabase,
) -> None:
    url = fresh_database()
    async with (
        await Client.connect(url) as client,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as connection,
    ):
        await connection.execute(REFUSE)
        failing = served(client)
        with pytest.raises(RuntimeError, match="Worker validation failed: no room"):
            await failing.run()
        leases = await connection.execute("SELECT FROM dbos.dbosify_workers")
        assert await leases.fetchall() == []

        await connection.execute("DROP FUNCTION refuse CASCADE")
        async with served(client, task_queue=failing.task_queue):
            assert await greeted(client, failing.task_queue) == "Hello, Ada!"
