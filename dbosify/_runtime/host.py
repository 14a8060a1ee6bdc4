"""A namespace as this process sees it: its database, its workers, its hints.

One host per database and schema, shared by every client and worker of the process. The
first worker brings up what only workers need (lease, DBOS runtime); the last one takes
it down again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

from dbosify._core.machines.attempt import AttemptMachine
from dbosify._core.machines.nexus_call import NexusCallMachine
from dbosify._model.activity import ActivityRow
from dbosify._model.nexus import NexusOperation
from dbosify._model.outbox import Entry
from dbosify._model.protos import (
    HistoryEvent,
    QueryResult,
    Timestamp,
    WorkerDeploymentVersion,
)
from dbosify._model.routes import WORKFLOW, Routes, target
from dbosify._store import claims, inboxes, journal, routing, virtual_time
from dbosify._store.claims import Claim, Owner, Release, Share
from dbosify._store.engine import LOST_CONNECTION, Database
from dbosify._store.gathering import Gathering
from dbosify._store.inboxes import Inbox
from dbosify._store.journal import TurnWriter
from dbosify._store.migrate import ensure_schema
from dbosify._store.runs import StartRow
from dbosify._store.url import DatabaseUrl, schema_of_namespace

from . import dbos_runtime
from .clock import DatabaseClock
from .closes import CloseWatcher
from .courier import Courier
from .expiry import close_expired
from .hints import Hints, Listener, Watch
from .lease import LeaseKeeper
from .lookout import Lookout
from .per_loop import PerLoop
from .time_skipping import TimeSkipping

if TYPE_CHECKING:
    from dbos import DBOSConfig

    from .activity_worker import ActivityWorker

logger = logging.getLogger(__name__)

_JOURNALS = 16
"""Journals that are read at once; each may be long."""


class LocalWorker(Protocol):
    """What the host knows of a worker of this process."""

    loop: asyncio.AbstractEventLoop
    task_queue: str
    queue: str
    """Of its version in the task queue: what it takes tasks from."""
    version: WorkerDeploymentVersion | None
    """Of a worker deployment, if it is part of one."""
    activities: ActivityWorker | None
    begun: asyncio.Event

    def takes_runs(self) -> bool:
        """Whether a new run may be handed over; False before it has begun."""

    def adopt(self, claim: Claim, events: Sequence[HistoryEvent]) -> None:
        """Take a run that was started for this worker."""

    def on_hint(self, kind: str, key: str) -> None:
        """Something may have happened; called on the worker's loop."""

    def look_at(self, moment: float) -> None:
        """Look for due timers at `moment`; called on the worker's loop."""

    def on_lease_lost(self) -> None:
        """Forget every run; called on the worker's loop."""

    def owned(self) -> list[str]:
        """The runs of this worker; may be asked from any thread."""

    def owns(self, workflow_uuid: str) -> bool:
        """Whether the run is this worker's, and so is open."""

    async def query(
        self, workflow_uuid: str, request: bytes, min_inbox: int
    ) -> QueryResult | None:
        """Ask a run that this worker owns."""


class Host:
    """See the module's text; made by `host_of`."""

    def __init__(self, url: DatabaseUrl, namespace: str) -> None:
        self.namespace = namespace
        self.database = Database(url, schema_of_namespace(namespace))
        self.clock = DatabaseClock()
        self._time_skipping = TimeSkipping(self)
        self.hints = Hints(self.database)
        self.listener = Listener(self.database, self.hints)
        self.keeper = LeaseKeeper(
            self.database,
            self.clock,
            on_queued=self._taken_over,
            on_lost=self._lease_lost,
        )
        self.hints.listeners.append(self._dispatch)
        self._workers: list[LocalWorker] = []
        self._writers = PerLoop(lambda: TurnWriter(self.database))
        self._inboxes = PerLoop(
            lambda: Gathering(partial(inboxes.read_each, self.database))
        )
        self.journals = PerLoop(
            lambda: Gathering(
                partial(journal.load_rows, self.database), at_once=_JOURNALS
            )
        )
        self._closes = PerLoop(
            lambda: CloseWatcher(self.database, owned=self.owns, hint=self._not_open)
        )
        self._couriers = PerLoop(lambda: Courier(self))
        self.queue_rates: dict[str, float] = {}
        """Activities in a second, by their task queue, where operators say so."""
        self.servers: Mapping[str, int] = {}
        """Processes that serve them, for the task queues of this process."""
        self.lookouts = PerLoop(lambda: Lookout(self))
        self._lock = threading.Lock()
        self.routes: Routes = {}
        """Of the task queues of this process's workers."""
        self._routes_asked = 0.0
        self._ready = False
        self._giving_up: set[asyncio.Task[None]] = set()
        self._hosts_dbos = False

    @property
    def executor_id(self) -> str:
        """This process, for everyone who sees the database."""
        return self.keeper.lease.executor_id

    async def prepare(self, *, migrate: bool) -> None:
        """Make sure that the schema is there; the clock is set on the way.

        Raises:
            StoreError: it cannot be reached, or is too old, or not migrated.
        """
        if self._ready:
            return
        await asyncio.to_thread(
            ensure_schema,
            self.database.url,
            schema=self.database.schema,
            namespace=self.namespace,
            migrate=migrate,
        )
        # The first question waits for a connection: half of that would be a bad guess.
        await self.database.fetch("now", {})
        asked = time.time_ns()
        rows = await self.database.fetch("now", {})
        self.clock.adjust(rows[0]["now_us"], asked)
        self.clock.virtual = rows[0]["virtual"]
        self.listener.start()
        self._ready = True

    def gone(self) -> None:
        """The schema is not there any more; who comes again has to look for it."""
        self._ready = False

    def new_owner(self, queue: str) -> Owner:
        """A fresh fence for a claim by a worker of `queue`."""
        return Owner(self.executor_id, str(uuid.uuid4()), queue)

    def share(self, task_queue: str, limit: int) -> Share:
        """What this process may take at once of a task queue's work."""
        return Share(limit, max(1, self.servers.get(task_queue, 1)))

    def writer(self) -> TurnWriter:
        """The writer of the running loop."""
        return self._writers.here()

    async def inbox(self, workflow_uuid: str) -> Inbox | None:
        """A run's inbox; None if there is no such run.

        Raises:
            Damaged: something in it cannot be read.
        """
        found = await self._inboxes.here().get(workflow_uuid)
        return None if found is None else inboxes.whole(found)

    @property
    def courier(self) -> Courier:
        """The courier of the running loop."""
        return self._couriers.here()

    async def close(self) -> None:
        """Close the running loop's connections."""
        await self.courier.idle()
        writer = self._writers.known()
        if writer is not None:
            await writer.close()
        await self.hints.idle()
        await self.database.close()

    # Workers.

    async def enter(self, worker: LocalWorker, config: DBOSConfig | None) -> None:
        """A worker begins.

        Args:
            worker: to be told of hints.
            config: for the DBOS runtime, if this is the worker that brings it.
        """
        with self._lock:
            first = not self._workers
            self._workers.append(worker)
        try:
            await self._load_routes([worker.task_queue])
            if first:
                await asyncio.to_thread(self.keeper.start)
        except BaseException:
            with self._lock:
                self._workers.remove(worker)
            raise
        if first:
            self._hosts_dbos = await dbos_runtime.launch(
                self.database, self.executor_id, config
            )

    async def _load_routes(self, queues: Collection[str]) -> None:
        asked = time.monotonic()
        found = await routing.load(self.database, queues)
        self.learn_routes(queues, found, asked)

    def learn_routes(
        self, queues: Collection[str], found: Routes, asked: float
    ) -> None:
        """Take in the routes of some queues; those that have none go by no version.

        Args:
            queues: whose routes were asked for.
            found: the answer.
            asked: when, on the monotonic clock: later answers are not undone.
        """
        if asked < self._routes_asked:
            return
        self._routes_asked = asked
        others = {k: route for k, route in self.routes.items() if k[0] not in queues}
        self.routes = {**others, **found}

    async def leave(self, worker: LocalWorker) -> None:
        """A worker has ended, its runs are given up."""
        with self._lock:
            self._workers.remove(worker)
            last = not self._workers
        if last:
            if self._hosts_dbos:
                self._hosts_dbos = False
                await dbos_runtime.end()
            await asyncio.to_thread(self.keeper.stop)

    def activity_workers(
        self, task_queue: str, version: WorkerDeploymentVersion | None
    ) -> list[ActivityWorker]:
        """The activity sides of a task queue's workers of a version in this process."""
        with self._lock:
            return [
                w.activities
                for w in self._workers
                if w.task_queue == task_queue
                and w.activities is not None
                and w.version == version
            ]

    def wake_at(self, moment: float) -> None:
        """See `Surroundings.wake_at`."""
        with self._lock:
            workers = list(self._workers)
        for worker in workers[:1]:
            _call(worker.loop, worker.look_at, moment)

    def workers(self, queue: str) -> list[LocalWorker]:
        """The workers of a queue in this process."""
        with self._lock:
            return [w for w in self._workers if w.queue == queue]

    def _dispatch(self, kind: str, key: str) -> None:
        if kind == "closed":
            self.hints.watches(_close_of(key))
        with self._lock:
            workers = list(self._workers)
        for worker in workers:
            _call(worker.loop, worker.on_hint, kind, key)

    def _taken_over(self, queue: str) -> None:
        """There are runs of a dead process; called by the lease's thread."""
        with self._lock:
            workers = list(self._workers)
        for worker in workers[:1]:
            _call(worker.loop, self.run_queued, queue)

    def _lease_lost(self) -> None:
        logger.warning("this process was taken for dead; its runs are with others now")
        with self._lock:
            workers = list(self._workers)
        for worker in workers:
            _call(worker.loop, worker.on_lease_lost)

    # The surroundings of a request.

    @property
    def skipped_time(self) -> TimeSkipping | None:
        """See `Surroundings.skipped_time`."""
        return self._time_skipping if self.clock.virtual else None

    async def begin_virtual_time(self) -> None:
        """Make the database's clock one that tests set ahead."""
        await virtual_time.begin(self.database)
        self.clock.virtual = True

    def attempt(self, row: ActivityRow) -> AttemptMachine:
        """See `Surroundings.attempt`."""
        return AttemptMachine(row.scheduled, row.progress, row.state)

    def nexus_calls(self, operation: NexusOperation) -> NexusCallMachine:
        """See `Surroundings.nexus_calls`."""
        return NexusCallMachine(operation)

    def nexus_due(self, task_queue: str, moment: float) -> None:
        """See `Surroundings.nexus_due`."""
        delay = moment - self.clock.seconds()
        if delay > 0:
            # Whoever else looks at that moment needs no hint.
            loop = asyncio.get_running_loop()
            loop.call_later(delay, self.hints.here, "nexus", task_queue)
        else:
            self.hints.here("nexus", task_queue)
            self.hints.elsewhere("nexus", task_queue)

    def now(self) -> Timestamp:
        """See `Surroundings.now`."""
        return self.clock.now()

    async def settled(self, task_queue: str) -> None:
        """See `Surroundings.settled`."""
        await asyncio.sleep(0)  # a worker entered just now has not had its first turn
        with self._lock:
            workers = [w for w in self._workers if w.task_queue == task_queue]
        for worker in workers:
            if worker.loop is asyncio.get_running_loop():
                await worker.begun.wait()

    def reserve(self, row: StartRow) -> Owner | None:
        """See `Surroundings.reserve`."""
        started = row.events[0].workflow_execution_started_event_attributes
        queue = started.task_queue.name
        version = row.pin
        if version is None and self.routes:
            version = target(self.routes, queue, WORKFLOW, row.workflow_id).version
        with self._lock:
            workers = list(self._workers)
        for worker in workers:
            if (
                worker.task_queue == queue
                and worker.version == version
                and worker.takes_runs()
            ):
                return self.new_owner(worker.queue)
        return None

    def hand_over(
        self, queue: str, claim: Claim, events: Sequence[HistoryEvent]
    ) -> None:
        """See `Surroundings.hand_over`."""
        for worker in self.workers(queue):
            if worker.takes_runs() and not worker.loop.is_closed():
                _call(worker.loop, worker.adopt, claim, events)
                return
        # The worker that had a place for it has left, or filled it, in the meantime.
        task = asyncio.get_running_loop().create_task(self.give_up(claim))
        self._giving_up.add(task)
        task.add_done_callback(self._giving_up.discard)

    async def give_up(self, claim: Claim) -> None:
        """Queue a run that was started for a worker that does not take it."""
        release = Release(claim.workflow_uuid, claim.token, None, 0)
        try:
            queued = await claims.release(self.database, [release])
        except LOST_CONNECTION as error:
            logger.warning("run %s not queued: %s", claim.workflow_uuid, error)
        else:
            for row in queued:
                self.run_queued(row["queue_name"])

    def run_queued(self, task_queue: str) -> None:
        """See `Surroundings.run_queued`."""
        self.hints.here("queue", task_queue)
        self.hints.elsewhere("queue", task_queue)

    async def rerouted(self) -> None:
        """See `Surroundings.rerouted`."""
        with self._lock:
            queues = {worker.task_queue for worker in self._workers}
        if queues:
            with suppress(*LOST_CONNECTION):  # the hints will do, a little later
                await self._load_routes(queues)
        self.hints.here("routes", "")
        self.hints.elsewhere("routes", "")

    def messaged(self, workflow_uuid: str) -> None:
        """See `Surroundings.messaged`."""
        self.hints.here("run", workflow_uuid)

    def deliver(self, entries: Sequence[Entry]) -> None:
        """See `Surroundings.deliver`."""
        if entries:
            self.courier.send(entries)

    def closed(self, workflow_uuid: str, event: HistoryEvent | None) -> None:
        """See `Surroundings.closed`."""
        self.hints.watches(_close_of(workflow_uuid), event)
        self.hints.here("closed", workflow_uuid)
        self.hints.elsewhere("closed", workflow_uuid)

    async def create_namespace(self, namespace: str) -> Database:
        """See `Surroundings.create_namespace`."""
        host = host_of(self.database.url, namespace)
        await host.prepare(migrate=True)
        return host.database

    async def time_out(self, workflow_uuid: str) -> None:
        """See `Surroundings.time_out`."""
        await close_expired(self, workflow_uuid)

    def updated(self, workflow_uuid: str) -> None:
        """Tell whoever waits for an update of the run that it was answered."""
        self.hints.watches(workflow_uuid)
        self.hints.elsewhere("updated", workflow_uuid)

    def owns(self, workflow_uuid: str) -> bool:
        """See `Surroundings.owns`."""
        with self._lock:
            return any(worker.owns(workflow_uuid) for worker in self._workers)

    def watch(self, workflow_uuid: str) -> AbstractContextManager[Watch]:
        """See `Surroundings.watch`."""
        return self.hints.watch(workflow_uuid)

    @contextmanager
    def watch_close(self, workflow_uuid: str) -> Iterator[Watch]:
        """See `Surroundings.watch_close`."""
        look_after = self._closes.here().waiting(workflow_uuid)
        with self.hints.watch(_close_of(workflow_uuid)) as watch, look_after:
            yield watch

    def _not_open(self, workflow_uuid: str) -> None:
        self.hints.watches(_close_of(workflow_uuid))

    def batch_begun(self) -> None:
        """See `Surroundings.batch_begun`."""
        self.hints.here("batch", "")
        self.hints.elsewhere("batch", "")

    def schedule_changed(self) -> None:
        """See `Surroundings.schedule_changed`."""
        self.hints.here("schedule", "")
        self.hints.elsewhere("schedule", "")

    def query_left(self, task_queue: str) -> None:
        """See `Surroundings.query_left`."""
        self.hints.here("query", task_queue)
        self.hints.elsewhere("query", task_queue)

    async def query_here(
        self, workflow_uuid: str, request: bytes, min_inbox: int
    ) -> QueryResult | None:
        """See `Surroundings.query_here`."""
        with self._lock:
            workers = list(self._workers)
        for worker in workers:
            if worker.loop is asyncio.get_running_loop():
                answer = await worker.query(workflow_uuid, request, min_inbox)
            else:
                answer = await asyncio.wrap_future(
                    asyncio.run_coroutine_threadsafe(
                        worker.query(workflow_uuid, request, min_inbox), worker.loop
                    )
                )
            if answer is not None:
                return answer
        return None


def _close_of(workflow_uuid: str) -> str:
    """What those are hinted about who wait for nothing of the run but its end."""
    return f"close of {workflow_uuid}"


def _call(loop: asyncio.AbstractEventLoop, function, *args) -> None:  # type: ignore[no-untyped-def]
    """Call on a worker's loop: at once if it is the running one."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if loop is running:
        function(*args)
    elif not loop.is_closed():
        loop.call_soon_threadsafe(function, *args)


_hosts: dict[tuple[DatabaseUrl, str], Host] = {}
_hosts_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    # A child that shared its parent's connections would mix up their answers.
    os.register_at_fork(after_in_child=_hosts.clear)


def host_of(url: DatabaseUrl, namespace: str) -> Host:
    """The host of a namespace in this process."""
    with _hosts_lock:
        host = _hosts.get((url, namespace))
        if host is None:
            host = _hosts[url, namespace] = Host(url, namespace)
        return host
