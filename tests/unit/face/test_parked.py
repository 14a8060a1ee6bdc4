"""Runs that are parked hear what is sent to them, whatever the clocks say."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from dbosify.client import Client
from tests.unit.face.greeting import random_name, served, started
from tests.unit.face.workflows import Patient
from tests.waiting import eventually

STATUS = "SELECT status FROM dbos.workflow_status WHERE workflow_uuid = %s"

LATER = """
UPDATE dbos.dbosify_executions SET execution_time = now() + interval '1 hour'
WHERE workflow_uuid = %s
"""

PARK = """
UPDATE dbos.workflow_status
SET status = 'DELAYED', delay_until_epoch_ms = 9e15, started_at_epoch_ms = 1
WHERE workflow_uuid = %s
"""
"""As a worker does it at the end of a turn."""

WAITS = """
SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))
"""


@pytest.mark.parametrize("way", ["signal", "update"])
async def test_a_run_whose_starter_had_a_clock_ahead_of_the_database_s_is_woken(
    client: Client, postgres_url: str, way: str
) -> None:
    async with (
        served(client, max_cached_workflows=0) as worker,
        await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as link,
    ):
        handle = await started(client, worker.task_queue)
        uuid = f"{handle.id}/{handle.first_execution_run_id}"

        async def is_parked() -> None:
            cursor = await link.execute(STATUS, (uuid,))
            assert await cursor.fetchone() == ("DELAYED",)

        await eventually(is_parked)
        await link.execute(LATER, (uuid,))
        if way == "signal":
            await handle.signal(Patient.say, "now")
        else:
            await handle.execute_update(Patient.tell, "now")
        assert await handle.result() == "now"


@pytest.mark.parametrize("way", ["signal", "update"])
async def test_a_run_that_is_parked_while_a_message_waits_for_its_row_is_woken(
    client: Client, postgres_url: str, way: str
) -> None:
    queue = random_name("queue")
    handle = await started(client, queue)
    uuid = f"{handle.id}/{handle.first_execution_run_id}"
    say = handle.signal if way == "signal" else handle.execute_update
    async with (
        await psycopg.AsyncConnection.connect(postgres_url) as worker,
        await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as link,
    ):
        await link.execute(LATER, (uuid,))
        await worker.execute(PARK, (uuid,))
        sent = asyncio.create_task(say("say" if way == "signal" else "tell", "now"))

        async def waits_for_the_row() -> None:
            cursor = await link.execute(WAITS, (worker.info.backend_pid,))
            assert await cursor.fetchone() == (1,)

        async def is_queued() -> None:
            cursor = await link.execute(STATUS, (uuid,))
            assert await cursor.fetchone() == ("ENQUEUED",)

        await eventually(waits_for_the_row)
        await worker.commit()
        await eventually(is_queued)
    async with served(client, task_queue=queue):
        await sent
        assert await handle.result() == "now"
