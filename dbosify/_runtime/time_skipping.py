"""Skips time in a test's database, for whoever waits there for a result.

As with Temporal's test server, time is locked at first and skipped while more have
unlocked than locked it: whenever nobody is at work, the clock is set ahead to what is
due next. For that the database has to know all that is due, so in such a database
workers park each run as soon as it waits (`WorkflowWorker.after_turn`).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from dbosify._store import virtual_time

if TYPE_CHECKING:
    from .host import Host

_PAUSE = 0.01
"""Seconds between looks whether everybody is idle."""

_PATIENCE = 2.0
"""Seconds after which a sleep looks less often: workflow tasks may have no worker."""


class TimeSkipping:
    """See the module's text.

    Args:
        host: of the namespace.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._locks = 1
        self._skipping: asyncio.Task[None] | None = None

    def unlock(self) -> None:
        """Let time be skipped, unless others hold it locked."""
        self._locks -= 1
        if self._locks <= 0 and (self._skipping is None or self._skipping.done()):
            self._skipping = asyncio.get_running_loop().create_task(self._skip())

    def lock(self) -> None:
        """Hold time as it is."""
        self._locks += 1

    async def sleep(self, seconds: float) -> None:
        """Skip that much time, by way of everything that is due on the way."""
        end = self._host.clock.seconds() + seconds
        patience = time.monotonic() + _PATIENCE
        while self._host.clock.seconds() < end:
            if await self._step(until=end, despite_activities=True):
                patience = time.monotonic() + _PATIENCE
            # A worker may just be slow, so nobody is given up for good.
            late = time.monotonic() > patience
            await asyncio.sleep(self._host.clock.wait_for(end) if late else _PAUSE)

    async def wait_until(self, moment: float) -> None:
        """Wait until the clock shows `moment`, seconds since 1970."""
        while self._host.clock.seconds() < moment:  # noqa: ASYNC110 - others set it
            await asyncio.sleep(self._host.clock.wait_for(moment))

    async def _skip(self) -> None:
        while self._locks <= 0:
            await self._step(until=None, despite_activities=False)
            await asyncio.sleep(_PAUSE)

    async def _step(self, *, until: float | None, despite_activities: bool) -> bool:
        asked = time.time_ns()
        now = await virtual_time.skip(
            self._host.database, until=until, despite_activities=despite_activities
        )
        if now is None:
            return False
        self._host.clock.adjust(now, asked)
        self._host.wake_at(self._host.clock.seconds())
        self._host.hints.here("schedule", "")
        return True
