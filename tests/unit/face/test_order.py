"""What caused something comes before it in a run, whichever is noticed first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from dbosify import activity
from dbosify._model.protos import HistoryEvent
from dbosify._runtime.host import Host
from dbosify._runtime.owned_run import OwnedRun
from dbosify._store.inboxes import Inbox
from dbosify.client import Client
from dbosify.worker import Worker
from tests.unit.face.greeting import random_name
from tests.unit.face.workflows import Noting


class SlowReading:
    """Keeps what one reading of an inbox found until the run has heard of something."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wanted = False
        self.under_way = asyncio.Event()
        self._heard = asyncio.Event()
        read, hear = Host.inbox, OwnedRun.add_news

        async def inbox(host: Host, workflow_uuid: str) -> Inbox | None:
            found = await read(host, workflow_uuid)
            if self.wanted:
                self.wanted = False
                self.under_way.set()
                await self._heard.wait()
            return found

        def add_news(run: OwnedRun, events: Sequence[HistoryEvent]) -> None:
            hear(run, events)
            self._heard.set()

        monkeypatch.setattr(Host, "inbox", inbox)
        monkeypatch.setattr(OwnedRun, "add_news", add_news)


async def test_what_an_activity_signals_is_seen_before_its_end(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowReading(monkeypatch)
    name = random_name()
    begun = asyncio.Event()

    @activity.defn
    async def signal_and_end() -> str:
        begun.set()
        await slow.under_way.wait()
        await client.get_workflow_handle(name).signal(Noting.note, "from the activity")
        return "activity ended"

    async with Worker(
        client, task_queue=name, workflows=[Noting], activities=[signal_and_end]
    ) as worker:
        handle = await client.start_workflow(
            Noting.run, id=name, task_queue=worker.task_queue
        )
        await begun.wait()
        slow.wanted = True
        await handle.signal(Noting.note, "first")
        assert await handle.result() == ["first", "from the activity", "activity ended"]
