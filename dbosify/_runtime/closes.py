"""Looks whether runs that somebody waits for are still open, for all waiters at once.

A close is hinted, but hints may be lost, so each wait has to look as well. A thousand
clients that wait for results would be a thousand queries a second; here they are one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dbosify._store import runs
from dbosify._store.engine import LOST_CONNECTION, Database

logger = logging.getLogger(__name__)

_INTERVAL = 1.0
"""Seconds between looks."""


class CloseWatcher:
    """The one that looks, on one event loop, as long as anybody waits.

    Args:
        database: of the namespace.
        owned: says of a run whether this process owns it; such a run is open, and
            its close is never missed.
        hint: called with a run that is not open any more.
    """

    def __init__(
        self,
        database: Database,
        *,
        owned: Callable[[str], bool],
        hint: Callable[[str], None],
    ) -> None:
        self._database = database
        self._owned = owned
        self._hint = hint
        self._waited_for: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def waiting(self, workflow_uuid: str) -> Iterator[None]:
        """Look after a run while the block runs."""
        self._waited_for[workflow_uuid] += 1
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())
        try:
            yield
        finally:
            self._waited_for[workflow_uuid] -= 1
            if not self._waited_for[workflow_uuid]:
                del self._waited_for[workflow_uuid]
            if not self._waited_for:
                self.stop()

    def stop(self) -> None:
        """Look no longer."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL)
            waited_for = [uuid for uuid in self._waited_for if not self._owned(uuid)]
            if not waited_for:
                continue
            try:
                are_open = await runs.open_ones(self._database, waited_for)
            except LOST_CONNECTION as error:
                # The waiters look for themselves and say what is wrong.
                logger.debug("cannot look for closed runs: %s", error)
                are_open = set()
            for uuid in waited_for:
                if uuid not in are_open:
                    self._hint(uuid)
