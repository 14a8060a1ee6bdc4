"""Does what is due in the database although no process waits for it.

Parked runs whose timer has come, runs that are out of time, activities whose back-off
is over, queued activities that ran out of time or lost their worker, entries of the
outbox whose writer died. Every worker process does what its lookout finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbosify._core.machines.attempt import AttemptMachine
from dbosify._model.activity import ActivityRow, AttemptState
from dbosify._service import nexus as operations
from dbosify._service import settling
from dbosify._service.context import Context, NexusCalls
from dbosify._store import activities, due, nexus
from dbosify._store.due import Due
from dbosify._store.engine import Connection, Rows

from .expiry import close_all_expired

if TYPE_CHECKING:
    from .host import Host


class DueRole:
    """See the module's text."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._context = Context(host.database, host.namespace, host, None)

    async def act(self, found: Due) -> None:
        """Do what was found to be due."""
        if found.parked_until is not None and found.parked_until <= found.now:
            for queue in await due.wake_parked(self._host.database):
                self._host.run_queued(queue)
        if found.runs:
            await close_all_expired(self._host)
        if found.outbox:
            await self._host.courier.send_overdue()
        if found.nexus:
            for key in await nexus.expired(self._host.database):
                await operations.change(self._context, key, _expire)
        if found.activities:
            await self._settle_activities()

    async def _settle_activities(self) -> None:
        database = self._host.database
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
