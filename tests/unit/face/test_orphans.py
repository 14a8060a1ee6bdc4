"""A run in the name of a process that is no more, and that nobody saw dying."""

import uuid

import psycopg

from dbosify.client import Client
from tests.unit.face.greeting import random_name, served, started
from tests.unit.face.workflows import Patient


async def test_a_run_that_was_written_after_its_process_left_is_taken_over(
    client: Client, postgres_url: str
) -> None:
    task_queue = random_name("queue")
    handle = await started(client, task_queue)
    await handle.signal(Patient.say, "enough")
    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
        await connection.execute(
            "UPDATE dbos.workflow_status"
            " SET status = 'PENDING', executor_id = %s, owner_xid = 'token'"
            " WHERE workflow_uuid = %s",
            (f"dbosify-{uuid.uuid4()}", f"{handle.id}/{handle.result_run_id}"),
        )
    async with served(client, task_queue=task_queue):
        assert await handle.result() == "enough"
