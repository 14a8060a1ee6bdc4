"""Delivers what lies in the outbox, right after it was written or when it is overdue.

The process that wrote an entry has a head start; when that has passed, any worker's
due role hands the entry to its own courier. Trying twice is harmless.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dbosify._model.outbox import Entry, Kind
from dbosify._service.context import Context
from dbosify._service.delivery import deliver
from dbosify._store import outbox
from dbosify._store.engine import LOST_CONNECTION

from . import faults
from .faults import Point

if TYPE_CHECKING:
    from .host import Host

logger = logging.getLogger(__name__)

_AT_ONCE = 4
"""Deliveries under way at a time: they must leave connections for the rest."""

_IN_ORDER = (Kind.SIGNAL, Kind.CANCEL)


class Courier:
    """The one of an event loop."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, entries: Sequence[Entry]) -> None:
        """Begin to deliver; messages of one turn go in the order it gave them."""
        in_order = [entry.entry_id for entry in entries if entry.kind in _IN_ORDER]
        if in_order:
            self._begin(in_order)
        for entry in entries:
            if entry.kind not in _IN_ORDER:
                self._begin([entry.entry_id])

    async def send_overdue(self) -> None:
        """Begin to deliver what others should have delivered."""
        for entry_id in await outbox.due(self._host.database):
            self._begin([entry_id])

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, entry_ids: Sequence[str]) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(entry_ids))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, entry_ids: Sequence[str]) -> None:
        host = self._host
        context = Context(host.database, host.namespace, host, None)
        for entry_id in entry_ids:
            async with self._places:
                faults.reach(Point.BEFORE_DELIVERY)
                try:
                    await deliver(context, entry_id)
                except LOST_CONNECTION as error:
                    logger.warning("%s is delivered later: %s", entry_id, error)
                except Exception:
                    logger.exception("%s could not be delivered", entry_id)
                faults.reach(Point.AFTER_DELIVERY)
