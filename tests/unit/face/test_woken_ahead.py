"""A parked run is in memory again before its timer is due, but does nothing earlier."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from dbosify.api.enums.v1 import EventType
from dbosify.client import Client, WorkflowHandle
from tests.unit.face.greeting import random_name, served
from tests.unit.face.workflows import Sleeper
from tests.waiting import eventually

ROW = """
SELECT status, to_timestamp(delay_until_epoch_ms / 1000.0)
FROM dbos.workflow_status WHERE workflow_uuid = %s
"""

WAKE = """
UPDATE dbos.workflow_status SET delay_until_epoch_ms = 1 WHERE workflow_uuid = %s
"""

Row = tuple[str, datetime | None]


def _uuid(handle: WorkflowHandle[Sleeper, None]) -> str:
    return f"{handle.id}/{handle.first_execution_run_id}"


async def _row(url: str, handle: WorkflowHandle[Sleeper, None]) -> Row:
    async with await psycopg.AsyncConnection.connect(url) as link:
        found = await (await link.execute(ROW, (_uuid(handle),))).fetchone()
    assert found is not None
    return found


async def _sleeper(
    client: Client, task_queue: str, seconds: float
) -> WorkflowHandle[Sleeper, None]:
    return await client.start_workflow(
        Sleeper.run, seconds, id=random_name(), task_queue=task_queue
    )


async def _due(handle: WorkflowHandle[Sleeper, None], seconds: float) -> datetime:
    history = await handle.fetch_history()
    [started] = [
        event.event_time.ToDatetime(tzinfo=UTC)
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED
    ]
    return started + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("cached", "seconds", "ahead"),
    [(2, 100.0, 10.0), (2, 8.0, 0.0), (0, 100.0, 0.0)],
    ids=["far", "near", "uncached"],
)
async def test_a_run_is_woken_ahead_of_a_timer_that_is_far(
    client: Client, postgres_url: str, cached: int, seconds: float, ahead: float
) -> None:
    async with served(client, max_cached_workflows=cached) as worker:
        first = await _sleeper(client, worker.task_queue, seconds)
        others = [await _sleeper(client, worker.task_queue, 1e6) for _ in range(2)]

        async def is_parked() -> None:
            assert (await _row(postgres_url, first))[0] == "DELAYED"

        await eventually(is_parked)
        _, until = await _row(postgres_url, first)
        assert until is not None
        early = (await _due(first, seconds) - until).total_seconds()
        assert early == pytest.approx(ahead, abs=0.01)
        for handle in [first, *others]:
            await handle.terminate()


async def test_a_run_that_was_woken_ahead_waits_in_memory_for_its_timer(
    client: Client, postgres_url: str
) -> None:
    seconds = 4.0
    async with served(client, max_cached_workflows=2) as worker:
        first = await _sleeper(client, worker.task_queue, seconds)
        others = [await _sleeper(client, worker.task_queue, 1e6) for _ in range(2)]

        async def is_woken() -> None:
            assert (await _row(postgres_url, first))[0] == "PENDING"

        async def is_parked() -> None:
            assert (await _row(postgres_url, first))[0] == "DELAYED"

        await eventually(is_parked)
        async with await psycopg.AsyncConnection.connect(
            postgres_url, autocommit=True
        ) as link:
            await link.execute(WAKE, (_uuid(first),))
        await eventually(is_woken)
        due = await _due(first, seconds)
        assert datetime.now(UTC) < due
        await first.result()
        end = [e async for e in first.fetch_history_events()][-1]
        assert due <= end.event_time.ToDatetime(tzinfo=UTC)
        for handle in others:
            await handle.terminate()
