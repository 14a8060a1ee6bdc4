"""A worker that takes a query on, while another one takes the run that is asked."""

import asyncio
from typing import Any

import psycopg

from dbosify.client import Client
from tests.unit.face.greeting import random_name, served, started
from tests.unit.face.workflows import Patient
from tests.waiting import eventually

PATIENCE = 30.0

CHANGE_OWNER = """
UPDATE dbos.workflow_status
SET status = %s, executor_id = %s, owner_xid = %s WHERE workflow_uuid = %s
"""


async def test_a_query_is_left_to_whoever_took_the_run_first(
    client: Client, postgres_url: str
) -> None:
    task_queue = random_name("queue")
    handle = await started(client, task_queue)
    uuid = f"{handle.id}/{handle.result_run_id}"

    async def takers() -> list[Any]:
        async with await psycopg.AsyncConnection.connect(postgres_url) as other:
            rows = await other.execute(
                "SELECT executor_id FROM dbos.dbosify_queries WHERE workflow_uuid = %s",
                (uuid,),
            )
            return [taker for (taker,) in await rows.fetchall()]

    async def taken_on() -> None:
        assert await takers() not in ([], [None])

    async def given_back() -> None:
        assert await takers() == [None]

    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
        # Nobody sees it before the commit: who wants the run waits for that.
        await connection.execute(CHANGE_OWNER, ("PENDING", "another", "1", uuid))
        asking = asyncio.create_task(handle.query(Patient.waits))
        async with served(client, task_queue=task_queue):
            await eventually(taken_on, patience=PATIENCE)
            await connection.commit()
            await eventually(given_back, patience=PATIENCE)
            await connection.execute(CHANGE_OWNER, ("ENQUEUED", None, None, uuid))
            await connection.commit()
            assert await asking
            await handle.signal(Patient.say, "enough")
            assert await handle.result() == "enough"
