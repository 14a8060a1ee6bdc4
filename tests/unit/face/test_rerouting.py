"""Workers know a new routing as soon as the call that asked for it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from dbosify._store import due
from dbosify._store.due import Due
from dbosify._store.engine import Database
from dbosify.client import Client
from tests.ported_temporal.version_runs import deployed, start, started, version_of
from tests.waiting import eventually


async def test_a_run_in_memory_is_told_of_the_version_that_is_current_by_now(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends, look = asyncio.Event(), due.look

    async def look_much_later(database: Database, queues: Sequence[str]) -> Due:
        found = await look(database, queues)
        await ends.wait()
        return found

    async with deployed(client) as made:
        handle = await start(made, "again")
        assert await version_of(handle) == "1"
        monkeypatch.setattr(due, "look", look_much_later)
        await made.set_current("2", ignore_missing_task_queues=True)
        await handle.signal("end")
        again = client.get_workflow_handle(handle.id)

        async def continued() -> None:
            run = await again.describe()
            assert run.run_id != handle.first_execution_run_id

        try:
            await eventually(continued)
        finally:
            ends.set()
        declined = (await started(again)).declined_target_version_upgrade
        assert declined.deployment_version == made.api_version("2")
        await again.terminate()
