"""Fires schedules: finds what is due and lets it happen, one schedule a transaction.

Every worker looks once a second, and at the very moment the next one is due. Several
may look at once: a schedule's row is locked by whoever deals with it and skipped by the
others, and what it starts is written with the row, so nothing happens twice.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dbosify._service.context import Context
from dbosify._service.firing import advance
from dbosify._store import schedules
from dbosify._store.engine import LOST_CONNECTION

from .faults import Point, reach
from .hints import hinted

if TYPE_CHECKING:
    from .host import Host

logger = logging.getLogger(__name__)

_POLL = 1.0
_HELD = 30.0
"""Seconds for which a schedule is left alone that could not be dealt with."""


class ScheduleRole:
    """See the module's text."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._context = Context(host.database, host.namespace, host, None)
        self._wake = asyncio.Event()
        self._awaits = False
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Look no more; what has begun is finished."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    def on_hint(self, kind: str) -> None:
        """Something may have happened."""
        # A close matters only while starts wait for one.
        if kind == "schedule" or (kind == "closed" and self._awaits):
            self._wake.set()

    async def _run(self) -> None:
        while not self._stopping:
            delay = _POLL
            try:
                delay = await self._look()
            except LOST_CONNECTION as error:
                logger.warning("did not look for due schedules: %s", error)
            await hinted(self._wake, delay)

    async def _look(self) -> float:
        """Fire what is due; tell when to look again."""
        outlook = await schedules.outlook(self._host.database)
        self._awaits = outlook.awaits
        due = outlook.due_in is not None and outlook.due_in <= 0
        while (due or self._awaits) and not self._stopping:
            if not await self._fire_one():
                break
        if due:
            outlook = await schedules.outlook(self._host.database)
            self._awaits = outlook.awaits
        if outlook.due_in is None:
            return _POLL
        return min(max(outlook.due_in, 0.001), _POLL)

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
            # One schedule that cannot be dealt with must not keep the others waiting.
            logger.exception("schedule %r is left alone for a while", schedule_id)
            await schedules.hold(database, schedule_id, _HELD)
            return True
        reach(Point.AFTER_FIRE)
        aftermath.tell(self._context)
        return True
