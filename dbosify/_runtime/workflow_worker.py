"""The workflow side of a worker: claims runs, keeps them cached, asks the SDK.

Which runs this process owns, which of them idle the longest, and who is to be asked
when a query or a hint arrives. What happens inside a run is `OwnedRun`'s business.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from dbosify._core.driver import RunDriver
from dbosify._core.tail import SUGGEST_EVENTS, Worker
from dbosify._model import clock, ids
from dbosify._model.effects import Close, TaskFailed
from dbosify._model.protos import (
    HistoryEvent,
    QueryResult,
    VersioningBehavior,
    WorkerDeploymentVersion,
    WorkflowActivation,
    WorkflowActivationCompletion,
    WorkflowActivationJob,
    WorkflowExecutionStatus,
    WorkflowTaskFailedCause,
)
from dbosify._store import claims
from dbosify._store.claims import Claim
from dbosify._store.engine import LOST_CONNECTION
from dbosify._store.runs import StartRow

from . import faults, task_log
from .activity_places import ActivityPlaces
from .belonging import Belonging
from .faults import Point
from .hints import hinted
from .local_activity_worker import LocalActivityWorker
from .metrics import Metrics
from .owned_run import OwnedRun
from .query_desk import QueryDesk
from .replica import Place, Replica
from .slots import Permit, Slots, WorkflowSlotInfo
from .turn_row import Writer

if TYPE_CHECKING:
    from .host import Host

logger = logging.getLogger(__name__)

_SUGGEST_AFTER = int(
    os.environ.get("DBOSIFY_SUGGEST_CONTINUE_AS_NEW_AT", SUGGEST_EVENTS)
)
_POLL = 1.0
"""Seconds between looks at owned runs while hints stay away."""
_CLAIM_AT_ONCE = 50
_STRAY_CHECK = 5.0
_AHEAD = 10.0
"""Seconds: to rebuild as many runs as a worker caches by default takes less."""

_NONDETERMINISM = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
)
_CLOSE_METRICS = {
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED: "workflow_completed",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED: "workflow_failed",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED: "workflow_canceled",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW: (
        "workflow_continue_as_new"
    ),
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WorkflowOptions:
    """The options of the SDK's worker that this side honours."""

    namespace: str
    task_queue: str
    queue: str
    """Of the worker's version in the task queue."""
    version: WorkerDeploymentVersion | None
    default_behavior: VersioningBehavior.ValueType
    identity: str
    build_id: str
    sdk_version: str
    max_cached: int
    nondeterminism_fails: bool
    nondeterminism_fails_types: frozenset[str]


class WorkflowWorker:
    """See the module's text.

    Args:
        host: of the namespace.
        options: of the SDK's worker.
        slots: for workflow tasks.
        metrics: of this worker.
        local_activities: runs those of the runs, if the worker has activities.
    """

    def __init__(
        self,
        host: Host,
        options: WorkflowOptions,
        slots: Slots,
        metrics: Metrics,
        local_activities: LocalActivityWorker | None,
    ) -> None:
        self.host = host
        self.database = host.database
        self.clock = host.clock
        self.writer = host.writer()
        self.executor_id = host.executor_id
        self.options = options
        self.task_queue = options.task_queue
        self.queue = options.queue
        self.identity = options.identity
        self.loop = asyncio.get_running_loop()
        self.places = ActivityPlaces(host, options.version)
        self.belonging = Belonging(
            options.task_queue, options.version, lambda: host.routes
        )
        self.turn_writer = self._new_writer()
        self.place = self._new_place(local_activities)
        self._activations: asyncio.Queue[WorkflowActivation | None] = asyncio.Queue()
        self._asked: dict[str, asyncio.Future[WorkflowActivationCompletion]] = {}
        self.metrics = metrics
        self._slots = slots
        self._slots.on_ready = self._slot_ready
        self._permits: dict[str, tuple[Permit, str | None]] = {}
        """Of the runs in a slot, with their type if they were cached."""
        self._runs: OrderedDict[str, OwnedRun] = OrderedDict()
        self._desk = QueryDesk(self)
        self._wake = asyncio.Event()
        self._look_at_queue = True
        self._look_at_queries = True
        """Some may have come before the worker, and their hints are lost then."""
        self._starved = False
        """Whether the queue may hold more than there were slots for."""
        self._next_stray_check = self.loop.time() + _STRAY_CHECK
        self._stopping = False
        self._claiming: asyncio.Task[None] | None = None
        self._stopped: asyncio.Task[None] | None = None
        self._others: set[asyncio.Task[None]] = set()

    def _new_writer(self) -> Writer:
        return Writer(
            executor_id=self.host.executor_id,
            identity=self.options.identity,
            queue=self.options.queue,
            belonging=self.belonging,
            clock=self.clock,
            places=self.places,
        )

    def _new_place(self, local_activities: LocalActivityWorker | None) -> Place:
        return Place(
            database=self.database,
            journals=self.host.journals.here(),
            namespace=self.options.namespace,
            task_queue=self.options.task_queue,
            worker=Worker(
                identity=self.options.identity,
                build_id=self.options.build_id,
                version=self.options.version,
                default_behavior=self.options.default_behavior,
                sdk_version=self.options.sdk_version,
                suggest_after=_SUGGEST_AFTER,
            ),
            ask=self._ask,
            locals=local_activities,
        )

    # The SDK's side.

    async def next_activation(self) -> WorkflowActivation | None:
        """The next activation for the SDK, or None when all is over."""
        activation = await self._activations.get()
        if activation is None:
            self._activations.put_nowait(None)
        return activation

    def complete(self, completion: WorkflowActivationCompletion) -> None:
        """Take the SDK's answer."""
        answer = self._asked.pop(completion.run_id, None)
        if answer is not None and not answer.done():
            answer.set_result(completion)

    async def _ask(
        self, activation: WorkflowActivation
    ) -> WorkflowActivationCompletion:
        answer: asyncio.Future[WorkflowActivationCompletion] = self.loop.create_future()
        self._asked[activation.run_id] = answer
        permit = self._permits.get(activation.run_id)
        if permit is not None and not permit[0].is_used:
            self._use(activation, *permit)
        self._activations.put_nowait(activation)
        return await answer

    def _use(
        self, activation: WorkflowActivation, permit: Permit, cached: str | None
    ) -> None:
        """A task is on the slot, and now its type is known too."""
        kind = cached or activation.jobs[0].initialize_workflow.workflow_type
        permit.use(WorkflowSlotInfo(kind, cached is not None))

    # Coming and going.

    def start_claiming(self) -> None:
        """Begin to take runs from the queue."""
        self._slots.start()
        self._claiming = self.loop.create_task(self._claim_loop())

    def stop(self) -> None:
        """Finish what is under way, give every run up, then end the polls."""
        if not self._stopping:
            self._stopping = True
            self._wake.set()
            self._stopped = self.loop.create_task(self._stop())

    async def _stop(self) -> None:
        try:
            if self._claiming is not None:
                await self._claiming
            while self._runs:
                tasks = []
                for run in self._runs.values():
                    run.leave()
                    if run.task is not None:
                        tasks.append(run.task)
                await asyncio.wait(tasks, timeout=_POLL)
            if self._others:
                await asyncio.wait(self._others)
            await self.host.courier.idle()
        finally:
            self._slots.close()
            self._activations.put_nowait(None)

    async def stopped(self) -> None:
        """Wait until every run is given up."""
        if self._stopped is not None:
            await self._stopped

    # Runs.

    def takes_runs(self) -> bool:
        """Whether a run may be started for this worker."""
        if self._stopping or self.host.keeper.expired:
            return False
        return self._slots.hands_over and self._slots.ready() > 0

    def adopt(self, claim: Claim, events: Sequence[HistoryEvent]) -> None:
        """Take a run whose journal is known."""
        if self._stopping:
            # It was started while we were still there, and nobody may be left to ask.
            self.in_background(self.host.give_up(claim))
            return
        self._own(OwnedRun(self, claim, events))

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that a shutdown waits for."""
        task = self.loop.create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def take_over(self, workflow_uuid: str) -> OwnedRun | None:
        """A run of this worker, or one that is nobody's yet; else None."""
        if workflow_uuid not in self._runs:
            owner = self.host.new_owner(self.queue)
            claim = await claims.claim_one(self.database, workflow_uuid, owner)
            if claim is not None:
                self._own(OwnedRun(self, claim))
        return self._runs.get(workflow_uuid)

    def next_run(self, row: StartRow) -> None:
        """Take, or announce, the next run of a chain."""
        if row.owner is not None:
            self._own(OwnedRun(self, row.claimed_by(row.owner), row.events))
        elif row.backoff > 0:
            self.host.wake_at(self.clock.seconds() + row.backoff)
        else:
            started = row.events[0].workflow_execution_started_event_attributes
            self.host.run_queued(started.task_queue.name)

    def _own(self, run: OwnedRun) -> None:
        older = self._runs.get(run.uuid)
        self._runs[run.uuid] = run
        if self._stopping:
            run.leave()
        run.task = self.loop.create_task(
            self._run_after(older, run), name=f"run {run.uuid}"
        )

    async def _run_after(self, older: OwnedRun | None, run: OwnedRun) -> None:
        if older is not None and older.task is not None:
            # We lost the run and took it again before we knew. The SDK knows instances
            # by run id, so the old one must be gone before there is a new one.
            older.look()
            await asyncio.wait({older.task})
        await run.run()

    def ended(self, run: OwnedRun) -> None:
        """A run is closed, given up or lost."""
        if self._runs.get(run.uuid) is run:
            del self._runs[run.uuid]
        if self._starved:
            self._claim_more()

    def _slot_ready(self) -> None:
        if self._starved:
            self._claim_more()

    def _claim_more(self) -> None:
        self._look_at_queue = True
        self._wake.set()

    async def in_slot(
        self, replica: Replica | None, run_id: str, work: Callable[[], Awaitable[T]]
    ) -> T:
        """Do a workflow task's work on a slot.

        Args:
            replica: of the run, if it is cached.
            run_id: of the run.
            work: the task.
        """
        asked_at = self.loop.time()
        cached = None if replica is None else replica.driver.workflow_type
        permit = await self._slots.take(is_sticky=cached is not None)
        began_at = self.loop.time()
        self._permits[run_id] = (permit, cached)
        try:
            return await work()
        finally:
            self._permits.pop(run_id, None)
            permit.release()
            task_log.done(run_id, self.loop.time() - began_at)
            if self.metrics.is_on:
                self._measure_task(cached, began_at - asked_at, began_at)

    def measure_close(self, driver: RunDriver, close: Close) -> None:
        """A run of this worker is closed."""
        name = _CLOSE_METRICS.get(close.status)
        if name is None or not self.metrics.is_on:
            return
        assert driver.started is not None, "it has run"
        started_at = clock.seconds(driver.started.event_time)
        spent = clock.seconds(close.event.event_time) - started_at
        kind = driver.workflow_type
        self.metrics.count(name, workflow_type=kind)
        self.metrics.observe("workflow_endtoend_latency", spent, workflow_type=kind)

    def measure_failure(self, failed: TaskFailed) -> None:
        """A workflow task failed."""
        odd = failed.cause == _NONDETERMINISM
        reason = "NonDeterminismError" if odd else "WorkflowError"
        self.metrics.count("workflow_task_execution_failed", failure_reason=reason)

    def _measure_task(self, cached: str | None, waited: float, began: float) -> None:
        metrics = self.metrics
        metrics.count("workflow_task_queue_poll_succeed")
        metrics.count("sticky_cache_miss" if cached is None else "sticky_cache_hit")
        metrics.observe("workflow_task_schedule_to_start_latency", waited)
        metrics.observe("workflow_task_execution_latency", self.loop.time() - began)
        metrics.level("sticky_cache_size", len(self._runs))

    async def after_turn(self, run: OwnedRun) -> None:
        """A turn is over: the run is the one used last."""
        if self._runs.get(run.uuid) is run:
            self._runs.move_to_end(run.uuid)
        if not self._keeps_runs:
            run.leave()

    @property
    def _keeps_runs(self) -> bool:
        """Whether a run that waits stays in memory."""
        return self.options.max_cached > 0 and not self.clock.virtual

    @property
    def ahead(self) -> float:
        """Seconds before its next timer at which a parked run is woken."""
        return _AHEAD if self._keeps_runs else 0.0

    def became_idle(self, run: OwnedRun) -> None:
        """A run waits: if too many are cached, the longest idle one is parked."""
        surplus = len(self._runs) - self.options.max_cached
        if surplus <= 0 or self.options.max_cached == 0:
            return
        for candidate in self._runs.values():
            if candidate.idle and not candidate.leaving:
                candidate.leave()
                self.metrics.count("sticky_cache_total_forced_eviction")
                surplus -= 1
                if surplus == 0:
                    return

    def request_eviction(self, run_id: str) -> None:
        """Park a run as soon as it only waits."""
        for uuid, run in self._runs.items():
            if ids.run_id_of(uuid) == run_id:
                run.leave()

    def fails_workflow(self, replica: Replica) -> bool:
        """Whether nondeterminism is to fail the workflow, not the task."""
        if self.options.nondeterminism_fails:
            return True
        started = replica.driver.started
        assert started is not None
        attributes = started.workflow_execution_started_event_attributes
        return attributes.workflow_type.name in self.options.nondeterminism_fails_types

    def retry_delay(self, attempt: int) -> float:
        """Seconds before a failed workflow task is tried again.

        Temporal tries again at once, and from then on when the task's timeout (ten
        seconds by default) has passed; we come to that by doubling.
        """
        return 0.0 if attempt == 1 else min(10.0, 0.5 * 2.0 ** (attempt - 1))

    def wake_at(self, moment: float) -> None:
        """See `Host.wake_at`."""
        self.host.wake_at(moment)

    def activity_queued(self, task_queue: str) -> None:
        """Tell workers that an activity was queued."""
        self.host.run_queued(ids.activity_queue(task_queue))

    # Claims.

    def hint(self, kind: str, key: str) -> None:
        """Something may have happened."""
        if kind == "queue" and key in (self.task_queue, self.queue):
            self._claim_more()
        elif kind == "query" and key in (self.task_queue, self.queue):
            self._look_at_queries = True
            self._wake.set()
        elif kind == "run":
            run = self._runs.get(key)
            if run is not None:
                run.look()

    def lease_lost(self) -> None:
        """Every run may be somebody else's by now: each has to look.

        Not all are: those taken since the lease ran out are ours, and would have no
        owner who knows of them if we forgot them.
        """
        for run in list(self._runs.values()):
            run.look()
        self._claim_more()

    async def _claim_loop(self) -> None:
        checked = self.loop.time()
        while not self._stopping:
            try:
                if self._look_at_queue:
                    self._look_at_queue = False
                    if await self._claim():
                        self._look_at_queue = True
                        continue
                if self._look_at_queries:
                    self._look_at_queries = False
                    await self._desk.claim()
                if self.loop.time() - checked >= _POLL:
                    checked = self.loop.time()
                    await self._check_runs()
                    await self._disown_strays()
            except LOST_CONNECTION as error:
                logger.warning("workflows not claimed: %s", error)
            except Exception:
                # A right or a table that is missing may be back at the next look.
                logger.exception("workflows not claimed")
            await hinted(self._wake, _POLL)

    async def _claim(self) -> bool:
        """Take queued runs; whether there may be more."""
        ready = self._slots.ready()
        self._starved = ready <= 0
        if self._starved or self.host.keeper.expired:
            return False
        share = self.host.share(self.task_queue, min(ready, _CLAIM_AT_ONCE))
        owner = self.host.new_owner(self.queue)
        taken, more = await claims.claim(self.database, owner, share)
        if taken:
            faults.reach(Point.AFTER_CLAIM)
        else:
            self.metrics.count("workflow_task_queue_poll_empty")
        for claim in taken:
            self._own(OwnedRun(self, claim))
        if more:
            # Those just claimed take their slots first.
            await asyncio.sleep(share.turn_of_others)
        return more

    async def _check_runs(self) -> None:
        """Catch what lost hints would have said."""
        if not self._runs:
            return
        seen = await claims.check(self.database, list(self._runs))
        for uuid, run in list(self._runs.items()):
            inbox, token = seen.get(uuid, (run.inbox_seen, None))
            if inbox > run.inbox_seen or token != run.token:
                run.look()

    async def _disown_strays(self) -> None:
        """Let go of runs whose start or claim never reached us."""
        if self.loop.time() < self._next_stray_check:
            return
        self._next_stray_check = self.loop.time() + _STRAY_CHECK
        mine = [uuid for w in self.host.workers(self.queue) for uuid in w.owned()]
        if await claims.disown_strays(
            self.database, self.queue, self.executor_id, mine
        ):
            self._claim_more()

    def owned(self) -> list[str]:
        """The runs of this worker."""
        return list(self._runs)

    # Queries.

    def owns(self, workflow_uuid: str) -> bool:
        """Whether the run is this worker's, and so is open."""
        return workflow_uuid in self._runs

    async def query(
        self, workflow_uuid: str, request: bytes, min_inbox: int
    ) -> QueryResult | None:
        """Ask a run that this worker owns; None if it does not."""
        run = self._runs.get(workflow_uuid)
        if run is None:
            return None
        job = WorkflowActivationJob.FromString(request)
        return await run.ask(job, min_inbox)
