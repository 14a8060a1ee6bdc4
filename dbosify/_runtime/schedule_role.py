"""Fires schedules: finds what is due and lets it happen, one schedule a transaction.

Every worker's lookout looks once a second, and at the very moment the next is due.
Several may fire at once: a schedule's row is locked by whoever deals with it and
skipped by the others, and what it starts is written with the row, so nothing happens
twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from dbosify._service.context import Context
from dbosify._service.firing import advance
from dbosify._store import schedules
from dbosify._store.due import Due
from dbosify._store.engine import LOST_CONNECTION

from .faults import Point, reach

if TYPE_CHECKING:
    from .host import Host

logger = logging.getLogger(__name__)

_HELD = 30.0
"""Seconds for which a schedule is left alone that could not be dealt with."""


class ScheduleRole:
    """See the module's text.

    Args:
        host: of the namespace.
        look_again: called when schedules have fired, and have a next time maybe.
    """

    def __init__(self, host: Host, look_again: Callable[[], None]) -> None:
        self._host = host
        self._look_again = look_again
        self._context = Context(host.database, host.namespace, host, None)
        self._wake = asyncio.Event()
        self._awaits = False
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to wait for what is due."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Fire no more; what has begun is finished."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    def notice(self, found: Due) -> None:
        """Fire if something is due, or may be because an action has ended."""
        self._awaits = found.schedules_await
        due = found.schedule_at is not None and found.schedule_at <= found.now
        if due or self._awaits:
            self._wake.set()

    def closed(self) -> None:
        """A run has ended, which matters only while starts wait for that."""
        if self._awaits:
            self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._stopping:
                return
            try:
                await self._fire()
            except LOST_CONNECTION as error:
                logger.warning("did not fire due schedules: %s", error)
            except Exception:
                # A right or a table that is missing may be back at the next look.
                logger.exception("did not fire due schedules")

    async def _fire(self) -> None:
        fired = False
        while not self._stopping and await self._fire_one():
            fired = True
        if fired:
            self._look_again()

    async def _fire_one(self) -> bool:
        database = self._host.database
        schedule_id = ""
        try:
            async with database.transaction() as connection:
                found = await schedules.due(connection, database)
                if found is None:
                    return False
                schedule_id = found["schedule_id"]
                row = schedules.read(found)
                aftermath = await advance(self._context, connection, row)
                reach(Point.BEFORE_FIRE)
        except LOST_CONNECTION:
            raise
        except Exception:
            if not schedule_id:
                raise
            # One schedule that cannot be dealt with must not keep the others waiting.
            logger.exception("schedule %r is left alone for a while", schedule_id)
            await schedules.hold(database, schedule_id, _HELD)
            return True
        reach(Point.AFTER_FIRE)
        aftermath.tell(self._context)
        return True
