"""An activity attempt that runs in this process, and what becomes of it.

Where its outcome goes depends on whose it is. An eager one belongs to a run of this
process and its outcome is that run's next news; any other was claimed from a queue and
its outcome becomes a message. An attempt that is to be retried always goes (back) to
the queue, so any worker may take the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from dbosify._core.machines.attempt import AttemptMachine
from dbosify._model.activity import ActivityRow, AttemptState
from dbosify._service import settling
from dbosify._store import activities
from dbosify._store.engine import LOST_CONNECTION

if TYPE_CHECKING:
    from .host import Host

logger = logging.getLogger(__name__)

T = TypeVar("T")

_RETRY_DB = 0.5
"""Seconds between two tries to store what a broken database did not take."""


class Run(Protocol):
    """The part of an owned run that its activities talk to."""

    activities: dict[int, HeldActivity]

    def activity_over(self, held: HeldActivity) -> None:
        """It ended for good."""


class HeldActivity:
    """See the module's text.

    Args:
        row: as stored.
        machine: its attempts.
        host: of the namespace.
    """

    def __init__(self, row: ActivityRow, machine: AttemptMachine, host: Host) -> None:
        self.row = row
        self.machine = machine
        self.host = host
        self.run: Run | None = None
        self.gone = False
        """Whatever the attempt still reports concerns nobody."""
        self.on_gone: Callable[[], None] | None = None
        self.on_cancel: Callable[[], None] | None = None
        self.leaving: Callable[[], bool] = lambda: False
        """Whether the worker is about to end."""
        self._due: asyncio.TimerHandle | None = None
        # Letting go of an attempt and taking its outcome must not overlap: the outcome
        # would look for a run that is gone, or the run for an outcome that is.
        self._turn = asyncio.Lock()

    @property
    def event_id(self) -> int:
        """Of its ActivityTaskScheduled event."""
        return self.row.scheduled.event_id

    def watch_deadline(self) -> None:
        """Call `due` when the attempt's time is up."""
        self.stop_watching()
        deadline = self.machine.deadline
        if deadline is not None:
            delay = self.host.clock.wait_for(deadline)
            loop = asyncio.get_running_loop()
            self._due = loop.call_later(delay, lambda: loop.create_task(self._on_due()))

    def stop_watching(self) -> None:
        """The attempt needs no deadline any more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    async def _on_due(self) -> None:
        if self.gone or self.machine.state is not AttemptState.STARTED:
            return
        deadline = self.machine.deadline
        now = self.host.clock.seconds()
        if deadline is None or deadline > now:
            self.watch_deadline()  # a heartbeat moved it
            return
        self.machine.due(now)
        await self.settle()
        if self.on_gone is not None:
            self.on_gone()

    def request_cancel(self) -> None:
        """The workflow wants it to end; the attempt hears of it when it heartbeats."""
        if self.machine.state is AttemptState.STARTED:
            self.machine.cancel(self.host.clock.seconds())
            if self.on_cancel is not None:
                self.on_cancel()

    def orphan(self) -> None:
        """Its run is closed or lost."""
        self.gone = True
        self.run = None
        self.stop_watching()

    async def detach(self) -> bool:
        """Let it go on without its run's owner: its outcome will be a message.

        Returns:
            Whether it was still going on.
        """
        async with self._turn:
            if self.gone:
                return False
            self.row.deadline = self.machine.deadline
            call = activities.detach(self.row)
            await self.host.database.fetch(call.name, call.params)
            self.row.eager = False
            self.run = None
            return True

    async def hand_out(self) -> None:
        """Let it go on outside of any worker: whoever has its token ends it."""
        async with self._turn:
            if self.gone:
                return
            self.row.deadline = self.machine.deadline
            call = activities.hand_out(self.row)
            database = self.host.database
            await self.outlast(partial(database.fetch, call.name, call.params))
            self.gone = True
            self.stop_watching()
            run, self.run = self.run, None
            if run is not None:
                run.activities.pop(self.event_id, None)
            if self.row.deadline is not None:
                self.host.wake_at(self.row.deadline)

    async def settle(self) -> None:
        """Store what became of the attempt and pass it on."""
        async with self._turn:
            row, machine = self.row, self.machine
            self.stop_watching()
            row.state = machine.attempt_state
            row.closing = machine.closing
            if row.state is AttemptState.STARTED or self.gone:
                return
            self.gone = True
            if row.state is AttemptState.OVER:
                await self._over(self.run)
            else:
                await self._retry(self.run)

    async def _over(self, run: Run | None) -> None:
        if self.row.eager:
            if run is not None:
                run.activity_over(self)
            return
        await self._store()

    async def _retry(self, run: Run | None) -> None:
        row = self.row
        row.eager = False
        row.deadline = self.machine.deadline
        if run is not None:
            run.activities.pop(self.event_id, None)
        if not await self._store():
            logger.debug("activity %s is no longer this attempt's", row.task_id)

    async def _store(self) -> bool:
        host = self.host
        return await self.outlast(
            partial(settling.store, host.database, host, self.row)
        )

    async def outlast(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the database until it answers.

        The attempt stands in the name of a process that is alive, so nobody else cares
        for it before its time is up; an outcome that is not stored is not made up for.
        All that is asked is fenced by the attempt's token.

        Raises:
            psycopg.Error: The database does not answer, and others will care for the
                attempt: this process was taken for dead, or will be.
        """
        keeper = self.host.keeper
        losses = keeper.losses
        while True:
            try:
                return await ask()
            except LOST_CONNECTION as error:
                if keeper.losses != losses or (self.leaving() and keeper.expired):
                    raise
                logger.warning(
                    "activity %s waits for the database: %s", self.row.task_id, error
                )
            await asyncio.sleep(_RETRY_DB)
