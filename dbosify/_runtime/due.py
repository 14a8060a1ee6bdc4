"""The clock's door: what is due in the database although no process waits for it.

Parked runs whose timer has come, runs that are out of time, activities whose back-off
is over, queued activities that ran out of time or lost their worker, entries of the
outbox whose writer died. Every worker process looks once a second, and at the moments
it knows something of its own to be due.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dbosify._core.machines.attempt import AttemptMachine
from dbosify._model.activity import ActivityRow, AttemptState
from dbosify._service import nexus as operations
from dbosify._service import settling
from dbosify._service.context import Context, NexusCalls
from dbosify._store import activities, nexus
from dbosify._store.engine import LOST_CONNECTION, Connection, Rows

from .expiry import close_all_expired
from .hints import hinted

if TYPE_CHECKING:
    from .host import Host

logger = logging.getLogger(__name__)

_POLL = 1.0


class DueRole:
    """See the module's text."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._context = Context(host.database, host.namespace, host, None)
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._stopping = False
        self._handles: set[asyncio.TimerHandle] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = self._loop.create_task(self._run())

    async def stop(self) -> None:
        """Look no more."""
        self._stopping = True
        self._wake.set()
        for handle in self._handles:
            handle.cancel()
        if self._task is not None:
            await self._task
        await self._host.courier.idle()

    def look_at(self, moment: float) -> None:
        """Look at `moment`, seconds since 1970, as well."""
        delay = max(moment - self._host.clock.seconds(), 0.0)
        if delay < _POLL * 60:
            handle = self._loop.call_later(delay + 0.001, self._due)
            self._handles = {h for h in self._handles if not h.cancelled()}
            self._handles.add(handle)

    def _due(self) -> None:
        now = self._loop.time()
        self._handles = {h for h in self._handles if h.when() > now}
        self._wake.set()

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self._turn()
            except LOST_CONNECTION as error:
                logger.warning("did not look for due timers: %s", error)
            await hinted(self._wake, _POLL)

    async def _turn(self) -> None:
        database = self._host.database
        woken = await database.fetch("wake_parked", {})
        for queue in {row["queue_name"] for row in woken}:
            self._host.run_queued(queue)
        await close_all_expired(self._host)
        await self._host.courier.send_overdue()
        for key in await nexus.expired(database):
            await operations.change(self._context, key, _expire)
        told: list[tuple[ActivityRow, Rows]] = []
        async with database.transaction() as connection:
            for row in await activities.due(database, connection):
                told.append((row, await self._settle(connection, row)))
        for row, stored in told:
            settling.tell(self._host, row, stored)

    async def _settle(self, connection: Connection, row: ActivityRow) -> Rows:
        database = self._host.database
        machine = AttemptMachine(row.scheduled, row.progress, row.state)
        now = self._host.clock.seconds()
        if row.progress.cancel_requested and row.state is not AttemptState.STARTED:
            machine.cancel(now)
        elif row.orphaned and row.state is AttemptState.STARTED:
            machine.lost(now)
        elif machine.deadline is not None and machine.deadline <= now:
            machine.due(now)
        row.state = machine.attempt_state
        row.closing = machine.closing
        row.deadline = machine.deadline
        if row.state is AttemptState.STARTED:
            call = activities.postpone(row)
            await database.run(connection, call.name, call.params)
            return []
        call = activities.outcome(row)
        return await database.run(connection, call.name, call.params)


def _expire(calls: NexusCalls, now: float) -> None:
    calls.expire(now)
