"""A run whose time is up does nothing more, however late somebody notices."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from dbosify._runtime import due
from dbosify._runtime.host import Host
from dbosify.api.enums.v1 import EventType
from dbosify.client import Client, WorkflowFailureError
from dbosify.exceptions import TimeoutError as TimedOut
from tests.unit.face.greeting import random_name, served
from tests.unit.face.workflows import Greeting
from tests.waiting import eventually

EXPIRE = """
UPDATE dbos.dbosify_executions SET expires_at = now() - interval '1 second'
WHERE workflow_id = %s
"""

CLOSED = """
SELECT close_time IS NOT NULL FROM dbos.dbosify_executions WHERE workflow_id = %s
"""


async def test_a_worker_that_comes_late_closes_it_instead_of_working_on_it(
    client: Client, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody_looks(host: Host) -> None:
        """The look for such runs comes later than the worker."""

    monkeypatch.setattr(due, "close_all_expired", nobody_looks)
    queue = random_name("queue")
    handle = await client.start_workflow(
        *(Greeting.run, "Ada"),
        id=random_name(),
        task_queue=queue,
        run_timeout=timedelta(hours=1),
    )
    async with await psycopg.AsyncConnection.connect(
        postgres_url, autocommit=True
    ) as link:
        await link.execute(EXPIRE, (handle.id,))

        async def is_closed() -> None:
            # Who asks the service about such a run closes it, too.
            cursor = await link.execute(CLOSED, (handle.id,))
            assert await cursor.fetchone() == (True,)

        async with served(client, task_queue=queue):
            await eventually(is_closed)
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, TimedOut)
    kinds = [event.event_type for event in (await handle.fetch_history()).events]
    assert EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED not in kinds
