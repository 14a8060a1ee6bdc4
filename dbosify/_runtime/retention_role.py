"""Deletes what was closed longer ago than the namespace keeps it.

Only a namespace that was told for how long, when it was registered or updated, loses
anything: one that a connection created keeps all. Every worker process looks when it
begins and then every other minute, which is one query where nothing is to be deleted
for want of a retention.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dbosify._model import clock
from dbosify._store import namespaces, retention
from dbosify._store.engine import LOST_CONNECTION, Database

from .hints import hinted

if TYPE_CHECKING:
    from .host import Host

logger = logging.getLogger(__name__)

_PERIOD = 120.0
"""Seconds between looks."""
_BATCH = 100
"""Of each kind, that are looked for at once."""


class RetentionRole:
    """See the module's text."""

    def __init__(self, host: Host) -> None:
        self._database = host.database
        self._stop = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Look no more; the batch that is being deleted is deleted."""
        self._stopping = True
        self._stop.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stopping:
            try:
                while not self._stopping and await delete_some(self._database):
                    pass
            except LOST_CONNECTION as error:
                logger.warning("did not look for what is kept too long: %s", error)
            except namespaces.DROPPED:
                return
            except Exception:
                logger.exception("what is kept too long could not be deleted")
            await hinted(self._stop, _PERIOD)


async def delete_some(database: Database) -> bool:
    """Delete a batch of what a namespace has kept long enough.

    Returns:
        Whether there was anything: there may be more.
    """
    kept_for = await _kept_for(database)
    if kept_for <= 0:
        return False
    found = await retention.overdue(database, seconds=kept_for, limit=_BATCH)
    for one in found:
        await retention.delete(database, one)
    return bool(found)


async def _kept_for(database: Database) -> float:
    """Seconds for which the namespace keeps what is closed; 0 if for ever."""
    registered = (await namespaces.find(database)).registered
    if registered is None:
        return 0.0
    return clock.seconds(registered.config.workflow_execution_retention_ttl)
