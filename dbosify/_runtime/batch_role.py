"""Does batch operations, a few runs at a time, in whatever worker process looks first.

Every worker's lookout looks once a second. A batch's row is locked by whoever does a
step of it and skipped by the others; a step that breaks off is done again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dbosify._service import batching
from dbosify._service.context import Context
from dbosify._store.engine import LOST_CONNECTION

from .hints import hinted

if TYPE_CHECKING:
    from .host import Host

logger = logging.getLogger(__name__)


class BatchRole:
    """See the module's text."""

    def __init__(self, host: Host) -> None:
        self._context = Context(host.database, host.namespace, host, None)
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to wait for one."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Look no more; the step that has begun is finished."""
        self._stopping = True
        self._wake.set()
        self._stop.set()
        if self._task is not None:
            await self._task

    def look(self) -> None:
        """There may be one."""
        self._wake.set()

    async def _run(self) -> None:
        while not self._stopping:
            await self._wake.wait()
            self._wake.clear()
            while not self._stopping:
                delay = await self._try_step()
                if delay is None:
                    break
                await hinted(self._stop, delay)

    async def _try_step(self) -> float | None:
        try:
            async with self._context.database.transaction() as connection:
                return await batching.step(self._context, connection)
        except LOST_CONNECTION as error:
            logger.warning("did not look for batch operations: %s", error)
        except Exception:
            logger.exception("a step of a batch operation is tried again")
        return None
