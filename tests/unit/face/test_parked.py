"""Runs that are parked hear what is sent to them, whatever the clocks say."""

from __future__ import annotations

import psycopg
import pytest

from dbosify.client import Client
from tests.unit.face.greeting import served, started
from tests.unit.face.workflows import Patient
from tests.waiting import eventually

STATUS = "SELECT status FROM dbos.workflow_status WHERE workflow_uuid = %s"

LATER = """
UPDATE dbos.dbosify_executions SET execution_time = now() + interval '1 hour'
WHERE workflow_uuid = %s
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
