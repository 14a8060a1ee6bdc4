"""The one that looks what is due in the database although no process waits for it.

One question a second answers for everything that waits for a moment or for somebody to
take it: parked runs, schedules, overdue activities, the queues of the workers. Each
role and each worker then does only what it is told of. Hints bring most of it sooner;
the lookout makes sure that a lost one costs a second and no more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from dbosify._model import ids
from dbosify._store import due
from dbosify._store.due import Due
from dbosify._store.engine import LOST_CONNECTION

from .batch_role import BatchRole
from .due import DueRole
from .retention_role import RetentionRole
from .schedule_role import ScheduleRole

if TYPE_CHECKING:
    from .host import Host, LocalWorker

logger = logging.getLogger(__name__)

_POLL = 1.0
"""Seconds between looks while nothing is known to be due sooner."""

_BREATH = 0.05
"""Seconds between looks at moments that are known: what is due close together is done
together."""


class Lookout:
    """The one of an event loop, there while the loop has workers.

    Args:
        host: of the namespace.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._workers: list[LocalWorker] = []
        self._due = DueRole(host)
        self._schedules = ScheduleRole(host, look_again=self.look)
        self._batches = BatchRole(host)
        self._retention = RetentionRole(host)
        self._wake = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._looked_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def join(self, worker: LocalWorker) -> None:
        """Look after a worker's queues too; the first one starts it all."""
        self._workers.append(worker)
        if self._task is None:
            self._schedules.start()
            self._batches.start()
            self._retention.start()
            self._task = self._loop.create_task(self._run())
        self.look()

    async def leave(self, worker: LocalWorker) -> None:
        """A worker goes; with the last one what has begun is finished."""
        self._workers.remove(worker)
        if self._workers or self._task is None:
            return
        self._host.lookouts.forget()
        self._wake.set()
        await self._task
        if self._alarm is not None:
            self._alarm.cancel()
        await self._schedules.stop()
        await self._batches.stop()
        await self._retention.stop()
        await self._host.courier.idle()

    def look(self) -> None:
        """Look at once."""
        self._wake.set()

    def look_at(self, moment: float) -> None:
        """Look at `moment`, seconds since 1970, or before."""
        delay = moment - self._host.clock.seconds()
        if delay <= 0:
            self._wake.set()
        elif delay < _POLL:
            self._look_in(delay)

    def on_hint(self, kind: str) -> None:
        """Something may have happened."""
        if kind == "schedule":
            self._wake.set()
        elif kind == "closed":
            self._schedules.closed()
        elif kind == "routes":
            self._wake.set()
        elif kind == "batch":
            self._batches.look()

    def _look_in(self, delay: float) -> None:
        now = self._loop.time()
        moment = max(now + delay, self._looked_at + _BREATH)
        if self._alarm is not None and now < self._alarm.when() <= moment:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(moment, self._wake.set)

    async def _run(self) -> None:
        while self._workers:
            self._wake.clear()
            self._looked_at = self._loop.time()
            self._look_in(_POLL)
            try:
                await self._look()
            except LOST_CONNECTION as error:
                logger.warning("did not look for what is due: %s", error)
            except Exception:
                # Others are due as well, and the next look comes in any case.
                logger.exception("what was due could not all be done")
            await self._wake.wait()

    async def _look(self) -> None:
        queues = self._queues()
        asked = time.monotonic()
        found = await due.look(self._host.database, queues)
        self._learn_rates(found)
        self._host.servers = found.servers
        self._host.learn_routes(queues, found.routes, asked)
        self._tell_workers(found)
        self._schedules.notice(found)
        if found.batches:
            self._batches.look()
        for moment in (found.parked_until, found.schedule_at):
            if moment is not None and found.now < moment < found.now + _POLL:
                self._look_in(moment - found.now)
        await self._due.act(found)

    def _learn_rates(self, found: Due) -> None:
        for worker in self._workers:
            rate = found.rates.get(worker.task_queue)
            known = self._host.queue_rates.get(worker.task_queue)
            if rate is None:
                self._host.queue_rates.pop(worker.task_queue, None)
            else:
                self._host.queue_rates[worker.task_queue] = rate
            if rate != known:
                worker.on_hint("queue", ids.activity_queue(worker.task_queue))

    def _queues(self) -> list[str]:
        names = {worker.task_queue for worker in self._workers}
        names.update(worker.queue for worker in self._workers)
        return [*names, *map(ids.activity_queue, names)]

    def _tell_workers(self, found: Due) -> None:
        for kind, queues in (
            ("queue", found.queued),
            ("query", found.queried),
            ("nexus", found.called),
        ):
            for queue in queues:
                for worker in self._workers:
                    worker.on_hint(kind, queue)
