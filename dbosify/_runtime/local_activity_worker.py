"""The side of a worker that runs local activities: slots, tasks to the SDK, outcomes.

They run in the process that owns their run, within its workflow task, and nothing of
them is in the database before that task ends: nobody else could take them over anyway.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from dbosify._core.machines.local_attempt import LocalAttemptMachine, State
from dbosify._model import clock
from dbosify._model.local import End, LocalOutcome, RunLocal
from dbosify._model.protos import (
    ActivityCancelReason,
    ActivityTask,
    ActivityTaskCompletion,
    Priority,
    WorkflowExecution,
)

from . import faults
from .activity_feed import ActivityFeed
from .clock import DatabaseClock
from .faults import Point
from .metrics import Metrics
from .slots import ActivitySlotInfo, Permit, Slots

logger = logging.getLogger(__name__)

_TOKEN = b"local:"


@dataclass(frozen=True, slots=True)
class RunOfLocal:
    """The run that a local activity belongs to."""

    namespace: str
    execution: WorkflowExecution
    workflow_type: str


@dataclass(slots=True, eq=False)
class _Attempt:
    """An attempt that the SDK works on."""

    held: HeldLocal
    token: bytes
    permit: Permit
    told: bool = False
    """Whether it was told to end, which happens once at most."""


class HeldLocal:
    """A local activity until its outcome is known.

    Args:
        machine: its attempts.
        run: whose it is.
        on_over: takes the outcome.
    """

    def __init__(
        self,
        machine: LocalAttemptMachine,
        run: RunOfLocal,
        on_over: Callable[[LocalOutcome], None],
    ) -> None:
        self.machine = machine
        self.run = run
        self.on_over: Callable[[LocalOutcome], None] | None = on_over
        self.attempt: _Attempt | None = None
        self.queued: asyncio.Task[None] | None = None
        self.due: asyncio.TimerHandle | None = None


class LocalActivityWorker:
    """See the module's text.

    Args:
        database_clock: of the host.
        slots: for attempts.
        feed: takes tasks for the SDK.
        metrics: of this worker.
    """

    def __init__(
        self,
        database_clock: DatabaseClock,
        slots: Slots,
        feed: ActivityFeed,
        metrics: Metrics,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._clock = database_clock
        self._slots = slots
        self._feed = feed
        self._metrics = metrics
        self._attempts: dict[bytes, _Attempt] = {}
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()
        slots.start()

    async def stop(self) -> None:
        """Wait for what the SDK still works on; no run orders anything any more."""
        await self._idle.wait()
        self._slots.close()
        self._feed.close()

    # What runs want.

    def begin(
        self, order: RunLocal, run: RunOfLocal, on_over: Callable[[LocalOutcome], None]
    ) -> HeldLocal:
        """Run a local activity as soon as there is a slot.

        Args:
            order: what to run.
            run: whose it is.
            on_over: takes the outcome, later.
        """
        machine = LocalAttemptMachine(order, self._clock.seconds())
        held = HeldLocal(machine, run, on_over)
        self._look(held)
        return held

    def cancel(self, held: HeldLocal) -> None:
        """The workflow wants it to end."""
        if held.machine.state is State.OVER:
            return
        held.machine.cancel()
        if held.attempt is not None:
            self._tell(held.attempt, "CANCELLED", is_cancelled=True)
        self._look(held)

    def drop(self, held: HeldLocal) -> None:
        """Its run is gone: whatever becomes of it concerns nobody."""
        held.on_over = None
        if held.attempt is not None:
            self._tell(held.attempt, "CANCELLED", is_cancelled=True)
        self._stop_waiting(held)

    # Attempts.

    def _look(self, held: HeldLocal) -> None:
        """Do what the state of its machine asks for."""
        self._stop_waiting(held)
        machine = held.machine
        if machine.outcome is not None:
            self._over(held, machine.outcome)
            return
        self._watch(held)
        if machine.state is State.QUEUED:
            held.queued = self.loop.create_task(self._start(held))

    def _watch(self, held: HeldLocal) -> None:
        deadline = held.machine.deadline
        if deadline is not None:
            delay = self._clock.wait_for(deadline)
            held.due = self.loop.call_later(delay, self._on_due, held)

    def _stop_waiting(self, held: HeldLocal) -> None:
        if held.due is not None:
            held.due.cancel()
        if held.queued is not None:
            held.queued.cancel()
        held.due = held.queued = None

    def _over(self, held: HeldLocal, outcome: LocalOutcome) -> None:
        on_over, held.on_over = held.on_over, None
        if on_over is not None:
            on_over(outcome)

    async def _start(self, held: HeldLocal) -> None:
        permit = await self._slots.take(is_sticky=False)
        # From here on it is no longer a wait that could be cancelled.
        held.queued = None
        machine, now = held.machine, self._clock.seconds()
        if machine.deadline is not None and machine.deadline <= now:
            permit.release()
            self._on_due(held)
            return
        machine.start(now)
        command = machine.order.command
        permit.use(ActivitySlotInfo(command.activity_type))
        self._count += 1
        token = b"%s%d" % (_TOKEN, self._count)
        held.attempt = self._attempts[token] = _Attempt(held, token, permit)
        self._idle.clear()
        self._metrics.count("local_activity_total", **_labels(held))
        self._feed.put(self._task(held, token))
        self._look(held)

    def _on_due(self, held: HeldLocal) -> None:
        deadline, now = held.machine.deadline, self._clock.seconds()
        if deadline is None or deadline > now:
            self._watch(held)  # the loop's clock runs ahead of the database's
            return
        held.machine.due(now)
        attempt = held.attempt
        if attempt is not None:
            self._tell(attempt, "TIMED_OUT", is_timed_out=True)
            self._forget(attempt)
            self._failed(held, "timeout")
        self._look(held)

    def _forget(self, attempt: _Attempt) -> None:
        """Its slot is free; what it still reports concerns nobody."""
        attempt.held.attempt = None
        attempt.permit.release()
        del self._attempts[attempt.token]
        if not self._attempts:
            self._idle.set()

    def _task(self, held: HeldLocal, token: bytes) -> ActivityTask:
        machine, command = held.machine, held.machine.order.command
        task = ActivityTask(task_token=token)
        start = task.start
        start.is_local = True
        start.workflow_namespace = held.run.namespace
        start.workflow_type = held.run.workflow_type
        start.workflow_execution.CopyFrom(held.run.execution)
        start.activity_id = command.activity_id
        start.activity_type = command.activity_type
        for key, value in command.headers.items():
            start.header_fields[key].CopyFrom(value)
        start.input.extend(command.arguments)
        start.scheduled_time.CopyFrom(machine.order.scheduled)
        start.current_attempt_scheduled_time.CopyFrom(machine.order.scheduled)
        start.started_time.CopyFrom(clock.of_seconds(machine.started_at))
        start.attempt = machine.attempt
        start.schedule_to_close_timeout.CopyFrom(command.schedule_to_close_timeout)
        given = command.HasField("start_to_close_timeout")
        start.start_to_close_timeout.CopyFrom(
            command.start_to_close_timeout
            if given
            else command.schedule_to_close_timeout
        )
        start.retry_policy.CopyFrom(machine.policy)
        start.priority.CopyFrom(Priority())
        return task

    def _tell(self, attempt: _Attempt, reason: str, **details: bool) -> None:
        if attempt.told:
            return
        attempt.told = True
        task = ActivityTask(task_token=attempt.token)
        task.cancel.reason = ActivityCancelReason.Value(reason)
        for name, value in details.items():
            setattr(task.cancel.details, name, value)
        self._feed.put(task)

    # What the SDK says.

    @staticmethod
    def knows(token: bytes) -> bool:
        """Whether a task's token is one of a local activity."""
        return token.startswith(_TOKEN)

    def is_late(self, task: ActivityTask) -> bool:
        """Whether a task tells an attempt to end that has ended meanwhile."""
        cancelled = task.cancel.reason == ActivityCancelReason.Value("CANCELLED")
        is_cancel = task.HasField("cancel") and cancelled
        token = task.task_token
        return is_cancel and self.knows(token) and token not in self._attempts

    def complete(self, completion: ActivityTaskCompletion) -> None:
        """Take what the SDK says of an attempt."""
        result = completion.result
        status = result.WhichOneof("status")
        if status is None or status == "will_complete_async":
            raise RuntimeError(
                "Completion failure: Lang SDK sent us a malformed activity completion"
                f" ({_MALFORMED[status]})"
            )
        attempt = self._attempts.get(completion.task_token)
        if attempt is None:
            logger.debug("completion of a local activity that is no longer awaited")
            return
        faults.reach(Point.LOCAL_ACTIVITY_OVER)
        held = attempt.held
        self._forget(attempt)
        machine, now = held.machine, self._clock.seconds()
        match status:
            case "completed":
                given = result.completed.HasField("result")
                machine.complete(now, result.completed.result if given else None)
            case "failed":
                machine.fail(now, result.failed.failure)
                self._failed(held, "ActivityError")
            case _:
                machine.canceled(now, result.cancelled.failure)
        self._measure(held, now)
        if held.on_over is not None:
            self._look(held)

    def _failed(self, held: HeldLocal, reason: str) -> None:
        self._metrics.count(
            "local_activity_execution_failed", failure_reason=reason, **_labels(held)
        )

    def _measure(self, held: HeldLocal, now: float) -> None:
        if not self._metrics.is_on:
            return
        labels, machine = _labels(held), held.machine
        self._metrics.observe(
            "local_activity_execution_latency", now - machine.started_at, **labels
        )
        if machine.outcome is None:
            return
        if machine.outcome.end is End.CANCELLED:
            self._metrics.count("local_activity_execution_cancelled", **labels)
        elif machine.outcome.end is End.COMPLETED:
            self._metrics.observe(
                "local_activity_succeed_endtoend_latency",
                now - clock.seconds(machine.order.scheduled),
                **labels,
            )


_MALFORMED = {
    None: "Activity completion had empty result/status field",
    "will_complete_async": "Local activities cannot be completed async",
}


def _labels(held: HeldLocal) -> dict[str, str]:
    return {
        "activity_type": held.machine.order.command.activity_type,
        "workflow_type": held.run.workflow_type,
    }
