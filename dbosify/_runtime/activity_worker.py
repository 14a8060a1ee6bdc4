"""The activity side of a worker: slots, tasks to the SDK, heartbeats, completions.

Tasks come from two doors: runs of this process hand eager activities straight in, and
queued ones are claimed while a slot is free. Either way the SDK sees the same task.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from dbosify._core.machines.attempt import AttemptMachine
from dbosify._model import clock, failures
from dbosify._model.activity import ActivityRow, AttemptState
from dbosify._model.protos import (
    ActivityCancelReason,
    ActivityExecutionResult,
    ActivityHeartbeat,
    ActivityTask,
    ActivityTaskCompletion,
    Payloads,
)
from dbosify._store import activities, rates
from dbosify._store.claims import Share
from dbosify._store.engine import LOST_CONNECTION

from . import activity_metrics, faults
from .activity_feed import ActivityFeed
from .faults import Point
from .held_activity import HeldActivity, Run
from .hints import hinted
from .metrics import Metrics
from .rates import Rate
from .slots import ActivitySlotInfo, Permit, Slots

if TYPE_CHECKING:
    from .host import Host

logger = logging.getLogger(__name__)

_POLL = 1.0
"""The longest wait, in seconds, for a rate that other workers use up."""
_GRACE_AFTER_TIMEOUT = 5.0
"""Seconds after which an attempt that timed out is told so, as core does."""
_SHUTDOWN_TEXT = "Worker is shutting down and this activity did not complete in time"


@dataclass(frozen=True, slots=True)
class ActivityOptions:
    """The options of the SDK's worker that this side honours."""

    namespace: str
    task_queue: str
    queue: str
    """Of the activities of the worker's version in the task queue."""
    identity: str
    max_throttle: float
    default_throttle: float
    grace: float
    """Seconds that running activities get after a shutdown began."""
    rate: float | None
    """Attempts that may begin in a second, in this worker."""
    queue_rate: float | None
    """Attempts of the task queue that may begin in a second, in all workers."""


@dataclass(slots=True, eq=False)
class _Running:
    """An attempt the SDK works on."""

    held: HeldActivity
    token: bytes
    permit: Permit
    losses: int
    """Of the lease, when the attempt was handed in or claimed."""
    cancelled: int | None = None
    """The reason it was told, at most one."""
    unsent: Payloads | None = None
    throttle: asyncio.TimerHandle | None = None
    beats: set[asyncio.Task[None]] = field(default_factory=set)
    settling: bool = False
    """Whether its outcome is known: another one, or a cancellation, comes too late."""


class ActivityWorker:
    """See the module's text.

    Args:
        host: of the namespace.
        options: of the SDK's worker.
        slots: for attempts.
        metrics: of this worker.
        feed: takes tasks for the SDK.
    """

    def __init__(
        self,
        host: Host,
        options: ActivityOptions,
        slots: Slots,
        metrics: Metrics,
        feed: ActivityFeed,
    ) -> None:
        self.host = host
        self.options = options
        self.loop = asyncio.get_running_loop()
        self.task_queue = options.task_queue
        self._slots = slots
        self._slots.on_ready = self._slot_ready
        self._metrics = metrics
        self._rate = Rate(options.rate, self.loop.time) if options.rate else None
        self._tasks = feed
        self._running: dict[bytes, _Running] = {}
        self._wake = asyncio.Event()
        self._starved = False
        """Whether the queue may hold more than there were slots for."""
        self._stopping = False
        self._drained = asyncio.Event()
        self._claiming: asyncio.Task[None] | None = None
        self._shutdown: asyncio.TimerHandle | None = None

    # Coming and going.

    def start_claiming(self) -> None:
        """Begin to take tasks from the queue."""
        self._slots.start()
        self._claiming = self.loop.create_task(self._claim_loop())

    def stop(self) -> None:
        """Take no more tasks; tell running ones after the grace period."""
        if self._stopping:
            return
        self._stopping = True
        self._slots.close()
        self._wake.set()
        self._shutdown = self.loop.call_later(self.options.grace, self._tell_shutdown)
        self._check_drained()

    async def stopped(self) -> None:
        """Wait until no attempt is left."""
        await self._drained.wait()
        if self._claiming is not None:
            await self._claiming
        if self._shutdown is not None:
            self._shutdown.cancel()

    def _tell_shutdown(self) -> None:
        for running in list(self._running.values()):
            self._cancel(running, "WORKER_SHUTDOWN", is_worker_shutdown=True)

    def _check_drained(self) -> None:
        if self._stopping and not self._running and not self._drained.is_set():
            self._drained.set()
            self._tasks.close()
            self._wake.set()

    async def still_ours(self, task: ActivityTask) -> bool:
        """Whether an attempt may begin: its process was never given up for dead."""
        keeper, running = self.host.keeper, self._running[task.task_token]
        if not keeper.expired and keeper.losses == running.losses:
            return True
        await self._lose(task.task_token)
        return False

    async def _lose(self, token: bytes) -> None:
        """This process was away: others may have given the attempt up for lost."""
        running = self._running.pop(token)
        running.held.machine.lost(self.host.clock.seconds())
        try:
            await running.held.settle()
        except LOST_CONNECTION as error:
            logger.warning("an attempt that was not begun is not stored: %s", error)
        running.permit.release()
        self._check_drained()

    # Slots and tasks.

    @property
    def _queue_rate(self) -> float | None:
        """Of all workers of the queue together; an operator's word comes first."""
        told = self.host.queue_rates.get(self.task_queue)
        return (self.options.queue_rate or None) if told is None else told

    def take(self) -> Permit | None:
        """Hold a slot for an eager activity."""
        if self._stopping or self._queue_rate is not None:
            return None
        if self._rate is None:
            return self._slots.try_take()
        if not self._rate.allowed():
            return None
        permit = self._slots.try_take()
        if permit is not None:
            self._rate.begin()
        return permit

    def _slot_ready(self) -> None:
        if self._starved:
            self._wake.set()

    def hint(self) -> None:
        """Something was queued."""
        self._wake.set()

    def start(
        self, row: ActivityRow, run: Run | None, *, permit: Permit, losses: int
    ) -> HeldActivity:
        """Hand an attempt to the SDK, on a slot that is held for it.

        Args:
            row: the activity as stored.
            run: whose it is, if that is owned here.
            permit: for the slot.
            losses: of the lease, when the attempt was known to be ours.
        """
        machine = AttemptMachine(row.scheduled, row.progress, row.state)
        held = HeldActivity(row, machine, self.host)
        held.run = run
        token = json.dumps([row.task_id, row.token]).encode()
        running = _Running(held, token, permit, losses)
        permit.use(ActivitySlotInfo(activity_metrics.kind_of(row)))
        activity_metrics.started(self._metrics, row)
        self._running[token] = running
        held.watch_deadline()
        held.leaving = lambda: self._stopping
        held.on_gone = lambda: self._after_timeout(running)
        held.on_cancel = lambda: self._on_cancel(running)
        self._tasks.put(self._task(running))
        faults.reach(Point.AFTER_ACTIVITY_START)
        return held

    async def _claim_loop(self) -> None:
        while not self._stopping:
            try:
                self._starved = self._slots.ready() <= 0
                # What is claimed without a lease is given up for lost at once.
                ready = not (self._starved or self.host.keeper.expired)
                wait = await self._claim() if ready else None
            except LOST_CONNECTION as error:
                logger.warning("activities not claimed: %s", error)
                wait = None
            except Exception:
                # A right or a table that is missing may be back at the next look.
                logger.exception("activities not claimed")
                wait = None
            if wait is None:
                await self._wake.wait()
                self._wake.clear()
            elif wait:
                await hinted(self._wake, wait)

    async def _claim(self) -> float | None:
        """Take what fits; seconds until the next look, or None: at the next hint.

        The lookout hints once a second while anything is queued.
        """
        limit = self._slots.ready()
        if self._rate is not None:
            limit = min(limit, self._rate.allowed())
            if not limit:
                return self._rate.wait()
        rate = self._queue_rate
        if rate is not None:
            return await self._claim_slowly(limit, rate) if rate else None
        share = self.host.share(self.task_queue, limit)
        _, more = await self._claim_some(share)
        return share.turn_of_others if more else None

    async def _claim_slowly(self, limit: int, rate: float) -> float | None:
        """Take what the task queue's rate allows."""
        database, queue = self.host.database, self.task_queue
        now = self.host.clock.seconds()
        allowed, wait = await rates.allow(database, queue, rate, limit=limit, now=now)
        if not allowed:
            return min(wait, _POLL)
        share = self.host.share(self.task_queue, allowed)
        claimed, more = await self._claim_some(share)
        if claimed == allowed:
            return wait
        await rates.disallow(database, queue, rate, tasks=allowed - claimed)
        return share.turn_of_others if more else None

    async def _claim_some(self, share: Share) -> tuple[int, bool]:
        """Claim attempts, each on a slot of its own: how many, and if some are left."""
        losses = self.host.keeper.losses
        permits = [self._slots.take_ready() for _ in range(share.limit)]
        rows: list[ActivityRow] = []
        try:
            rows, more = await activities.claim(
                self.host.database,
                self.host.new_owner(self.options.queue),
                identity=self.options.identity,
                now=self.host.clock.seconds(),
                share=share,
            )
        finally:
            for permit in permits[len(rows) :]:
                permit.release()
        if self._rate is not None:
            self._rate.begin(len(rows))
        for row, permit in zip(rows, permits, strict=False):
            self.start(row, None, permit=permit, losses=losses)
        if not rows:
            self._metrics.count("activity_poll_no_task")
        return len(rows), more

    def _task(self, running: _Running) -> ActivityTask:
        row = running.held.row
        options = row.scheduled.activity_task_scheduled_event_attributes
        task = ActivityTask(task_token=running.token)
        start = task.start
        start.workflow_namespace = self.options.namespace
        if row.standalone:
            start.run_id = row.run_id
        else:
            start.workflow_type = row.workflow_type
            start.workflow_execution.workflow_id = row.workflow_id
            start.workflow_execution.run_id = row.run_id
        start.activity_id = options.activity_id
        start.activity_type = options.activity_type.name
        for key, value in options.header.fields.items():
            start.header_fields[key].CopyFrom(value)
        start.input.extend(options.input.payloads)
        if row.progress.heartbeat is not None:
            start.heartbeat_details.extend(row.progress.heartbeat.payloads)
        start.scheduled_time.CopyFrom(row.scheduled.event_time)
        start.current_attempt_scheduled_time.CopyFrom(
            clock.of_seconds(row.progress.attempt_scheduled_at)
        )
        started_at = row.progress.started_at or 0.0
        start.started_time.CopyFrom(clock.of_seconds(started_at))
        start.attempt = row.progress.attempt
        start.schedule_to_close_timeout.CopyFrom(options.schedule_to_close_timeout)
        start.start_to_close_timeout.CopyFrom(options.start_to_close_timeout)
        start.heartbeat_timeout.CopyFrom(options.heartbeat_timeout)
        start.retry_policy.CopyFrom(options.retry_policy)
        if options.HasField("priority"):
            start.priority.CopyFrom(options.priority)
        return task

    # Cancellation.

    def _cancel(self, running: _Running, reason: str, **details: bool) -> None:
        known = running.cancelled is not None or running.settling
        if known or running.token not in self._running:
            return
        running.cancelled = ActivityCancelReason.Value(reason)
        task = ActivityTask(task_token=running.token)
        task.cancel.reason = running.cancelled
        for name, value in details.items():
            setattr(task.cancel.details, name, value)
        self._tasks.put(task)

    def _after_timeout(self, running: _Running) -> None:
        self.loop.call_later(
            _GRACE_AFTER_TIMEOUT,
            lambda: self._cancel(
                running, "TIMED_OUT", is_not_found=True, is_timed_out=True
            ),
        )

    def _on_cancel(self, running: _Running) -> None:
        # A throttled heartbeat is waiting for its turn: that is when the server would
        # have answered, and there is nothing to gain from waiting.
        if running.unsent is not None:
            self._send_beat(running)

    # Heartbeats.

    def heartbeat(self, beat: ActivityHeartbeat) -> None:
        """Take a heartbeat; never waits."""
        running = self._running.get(beat.task_token)
        if running is None:
            logger.debug("heartbeat for an activity that is not running here")
            return
        running.unsent = Payloads(payloads=beat.details)
        if running.throttle is None:
            self._send_beat(running)

    def _send_beat(self, running: _Running) -> None:
        details, running.unsent = running.unsent, None
        if running.throttle is not None:
            running.throttle.cancel()
        running.throttle = self.loop.call_later(
            self._throttle(running), self._throttle_over, running
        )
        task = self.loop.create_task(self._store_beat(running, details))
        running.beats.add(task)
        task.add_done_callback(running.beats.discard)

    def _throttle(self, running: _Running) -> float:
        options = running.held.row.scheduled.activity_task_scheduled_event_attributes
        timeout = clock.seconds(options.heartbeat_timeout)
        wanted = timeout * 0.8 if timeout > 0 else self.options.default_throttle
        return min(self.options.max_throttle, wanted)

    def _throttle_over(self, running: _Running) -> None:
        running.throttle = None
        if running.unsent is not None and running.token in self._running:
            self._send_beat(running)

    async def _store_beat(self, running: _Running, details: Payloads | None) -> None:
        held = running.held
        if held.gone or held.machine.state is not AttemptState.STARTED:
            self._cancel(running, "NOT_FOUND", is_not_found=True)
            return
        held.machine.beat(self.host.clock.seconds(), details, self.options.identity)
        if held.machine.state is not AttemptState.STARTED:
            await held.settle()
            self._cancel(running, "NOT_FOUND", is_not_found=True)
            return
        held.watch_deadline()
        held.row.deadline = held.machine.deadline
        call = activities.beat(held.row)
        try:
            rows = await self.host.database.fetch(call.name, call.params)
        except LOST_CONNECTION as error:
            logger.warning("heartbeat not stored: %s", error)
            return
        faults.reach(Point.AFTER_HEARTBEAT)
        if not rows:
            if not held.gone:
                held.orphan()
            self._cancel(running, "NOT_FOUND", is_not_found=True)
            return
        told = rows[0]
        progress = held.machine.progress
        progress.cancel_requested |= told["cancel_requested"]
        reasons = {
            "CANCELLED": progress.cancel_requested,
            "RESET": told["reset_requested"],
            "PAUSED": told["paused"],
        }
        reason = next((name for name, applies in reasons.items() if applies), None)
        if reason is not None:
            flags = {f"is_{name.lower()}": yes for name, yes in reasons.items()}
            self._cancel(running, reason, **flags)

    # Completions.

    async def complete(self, completion: ActivityTaskCompletion) -> None:
        """Take what the SDK says of an attempt."""
        running = self._running.get(completion.task_token)
        if running is None or running.settling:
            # When its worker fails, the SDK answers whatever it is told of an attempt,
            # be it the cancellation, with a failure of the attempt.
            logger.debug("completion of an activity that is not running here")
            return
        result = completion.result
        status = result.WhichOneof("status")
        if status is None:
            raise RuntimeError(
                "Completion failure: Lang SDK sent us a malformed activity completion"
                " (Activity completion had empty result/status field)"
            )
        running.settling = True
        faults.reach(Point.BEFORE_ACTIVITY_END)
        try:
            await self._settle(running, completion)
        except LOST_CONNECTION as error:
            # The end of our lease makes another worker take it up.
            logger.warning("outcome of an activity not stored: %s", error)
        finally:
            del self._running[completion.task_token]
            if running.throttle is not None:
                running.throttle.cancel()
            running.permit.release()
            now = self.host.clock.seconds()
            activity_metrics.ended(self._metrics, running.held.row, result, now)
            self._check_drained()

    async def _settle(
        self, running: _Running, completion: ActivityTaskCompletion
    ) -> None:
        if running.beats:
            await asyncio.gather(*running.beats, return_exceptions=True)
        held, machine = running.held, running.held.machine
        if held.gone or machine.state is not AttemptState.STARTED:
            return
        now, identity = self.host.clock.seconds(), self.options.identity
        result = completion.result
        match result.WhichOneof("status"):
            case "completed":
                machine.complete(now, _result_of(result), identity)
            case "failed":
                if running.unsent is not None:
                    machine.beat(now, running.unsent, identity)
                if machine.last_attempt:
                    await self._learn_of_pause(held)
                machine.fail(now, result.failed.failure, identity)
            case "cancelled":
                if not self._end_cancelled(running, completion, now):
                    return
            case _:
                await held.hand_out()
                return
        await held.settle()

    async def _learn_of_pause(self, held: HeldActivity) -> None:
        """Look whether the activity was paused: then its last attempt is not its last.

        Nobody else has to ask: without an attempt, the row is all that is known.
        """
        database, run_id = self.host.database, held.row.run_id
        find = partial(activities.find, database, run_id, task_id=held.row.task_id)
        row = await held.outlast(find)
        if row is not None:
            held.machine.progress.pause = row.progress.pause

    def _end_cancelled(
        self, running: _Running, completion: ActivityTaskCompletion, now: float
    ) -> bool:
        machine = running.held.machine
        shutdown = ActivityCancelReason.Value("WORKER_SHUTDOWN")
        if running.cancelled == shutdown and not machine.progress.cancel_requested:
            machine.fail(
                now,
                failures.application(_SHUTDOWN_TEXT, kind="WorkerShutdown"),
                self.options.identity,
            )
            return True
        if not machine.progress.cancel_requested:
            logger.warning(
                "unable to mark activity as canceled without activity being request"
                " canceled first"
            )
            return False
        info = completion.result.cancelled.failure.canceled_failure_info
        details = info.details if info.HasField("details") else None
        machine.canceled(now, details, self.options.identity)
        return True


def _result_of(result: ActivityExecutionResult) -> Payloads | None:
    if not result.completed.HasField("result"):
        return None
    return Payloads(payloads=[result.completed.result])
