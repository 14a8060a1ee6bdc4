"""A local activity as who runs it sees it: attempts, retries, timeouts.

All of it happens within a workflow task and is kept nowhere: if the process dies, the
next owner of the run begins again. Core's rules, not the server's: a retry that is far
away is left to the workflow, which starts a timer and then asks for the next attempt.
"""

from __future__ import annotations

import enum
from typing import ClassVar

from dbosify._core import retry
from dbosify._core.fsm import Machine, Table, To
from dbosify._model import clock, failures
from dbosify._model.local import End, LocalOutcome, RunLocal
from dbosify._model.policies import fill_defaults
from dbosify._model.protos import Failure, Payload, RetryPolicy, TimeoutType

_THRESHOLD = 60.0
"""Seconds: core's default for the longest wait before a retry in the same task."""


class State(enum.Enum):
    """Where it stands."""

    QUEUED = enum.auto()
    STARTED = enum.auto()
    BACKOFF = enum.auto()
    OVER = enum.auto()


class Input(enum.Enum):
    """What can happen to it."""

    START = enum.auto()
    COMPLETE = enum.auto()
    FAIL = enum.auto()
    CANCELED = enum.auto()
    CANCEL = enum.auto()
    DUE = enum.auto()


class LocalAttemptMachine(Machine):
    """The attempts at one local activity; all times are seconds since 1970.

    Args:
        order: what is to run.
        now: when it was ordered.
    """

    __slots__ = (
        "_cancel_wanted",
        "_queued_at",
        "_retry_at",
        "attempt",
        "order",
        "outcome",
        "policy",
        "started_at",
    )

    def __init__(self, order: RunLocal, now: float) -> None:
        super().__init__(State.QUEUED)
        self.order = order
        self.attempt = max(order.command.attempt, 1)
        self.outcome: LocalOutcome | None = None
        self.started_at = 0.0
        self.policy = RetryPolicy()
        self.policy.CopyFrom(order.command.retry_policy)
        fill_defaults(self.policy)
        self._queued_at = now
        self._retry_at = 0.0
        self._cancel_wanted = False

    # What happens to it.

    def start(self, now: float) -> None:
        """An attempt begins."""
        self.fire(Input.START, now)

    def complete(self, now: float, result: Payload | None) -> None:
        """The attempt succeeded."""
        self.fire(Input.COMPLETE, now, result)

    def fail(self, now: float, failure: Failure) -> None:
        """The attempt failed."""
        self.fire(Input.FAIL, now, failure)

    def canceled(self, now: float, failure: Failure) -> None:
        """The attempt ended because it was asked to."""
        self.fire(Input.CANCELED, now, failure)

    def cancel(self) -> None:
        """The workflow wants it to end."""
        self.fire(Input.CANCEL)

    def due(self, now: float) -> None:
        """The deadline has come."""
        self.fire(Input.DUE, now)

    # What others may ask of it.

    @property
    def where(self) -> State:
        """Where it stands."""
        assert isinstance(self.state, State), "it has no other states"
        return self.state

    @property
    def deadline(self) -> float | None:
        """When `due` must be called, if nothing else happens before."""
        moments = [self._close_by()]
        match self.state:
            case State.QUEUED:
                moments.append(self._start_by())
            case State.STARTED:
                moments.append(self._end_by())
            case State.BACKOFF:
                moments.append(self._retry_at)
            case _:
                return None
        return min((moment for moment in moments if moment is not None), default=None)

    def _close_by(self) -> float | None:
        timeout = clock.seconds(self.order.command.schedule_to_close_timeout)
        if not self.order.command.HasField("schedule_to_close_timeout"):
            return None
        return clock.seconds(self.order.scheduled) + timeout

    def _start_by(self) -> float | None:
        if not self.order.command.HasField("schedule_to_start_timeout"):
            return None
        timeout = clock.seconds(self.order.command.schedule_to_start_timeout)
        return self._queued_at + timeout

    def _end_by(self) -> float | None:
        if not self.order.command.HasField("start_to_close_timeout"):
            return None
        return self.started_at + clock.seconds(
            self.order.command.start_to_close_timeout
        )

    # Transitions.

    def _on_start(self, now: float) -> None:
        self.started_at = now

    def _on_complete(self, now: float, result: Payload | None) -> None:
        self._end(End.COMPLETED, now - self.started_at, result=result)

    def _on_fail(self, now: float, failure: Failure) -> None:
        self._retry_or_end(End.FAILED, now, failure)

    def _on_canceled(self, now: float, failure: Failure) -> None:
        self._end(End.CANCELLED, now - self.started_at, failure=failure)

    def _on_cancel_waiting(self) -> None:
        self.attempt = 0
        self._end(End.CANCELLED, 0.0, failure=failures.activity_cancelled())

    def _on_cancel_running(self) -> None:
        self._cancel_wanted = True

    def _on_waiting_due(self, now: float) -> None:
        kind = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
        if self._is_past(self._close_by(), now):
            kind = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
        self._end(
            End.TIMED_OUT, now - self._queued_at, failure=failures.local_timeout(kind)
        )

    def _on_running_due(self, now: float) -> None:
        if self._is_past(self._close_by(), now):
            kind = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
            failure = failures.local_timeout(kind)
            self._end(End.TIMED_OUT, now - self.started_at, failure=failure)
        else:
            kind = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
            self._retry_or_end(End.TIMED_OUT, now, failures.local_timeout(kind))

    def _on_backoff_due(self, now: float) -> None:
        if self._is_past(self._close_by(), now):
            self._on_waiting_due(now)
            return
        self.attempt += 1
        self._queued_at = now

    def _retry_or_end(self, end: End, now: float, failure: Failure) -> None:
        delay = None
        if not self._cancel_wanted:
            delay = retry.local_delay(self.policy, failure, self.attempt)
        threshold = _THRESHOLD
        if self.order.command.HasField("local_retry_threshold"):
            threshold = clock.seconds(self.order.command.local_retry_threshold)
        if delay is None or delay > threshold:
            runtime = now - self.started_at
            self._end(end, runtime, failure=failure, backoff=delay)
        else:
            self.state = State.BACKOFF
            self._retry_at = now + delay

    def _end(
        self,
        end: End,
        runtime: float,
        *,
        result: Payload | None = None,
        failure: Failure | None = None,
        backoff: float | None = None,
    ) -> None:
        self.state = State.OVER
        runtime = max(runtime, 0.0)
        self.outcome = LocalOutcome(
            end, self.attempt, runtime, result=result, failure=failure, backoff=backoff
        )

    @staticmethod
    def _is_past(moment: float | None, now: float) -> bool:
        return moment is not None and moment <= now

    table: ClassVar[Table] = {
        State.QUEUED: {
            Input.START: To(State.STARTED, _on_start),
            Input.CANCEL: To(State.OVER, _on_cancel_waiting),
            Input.DUE: To(State.OVER, _on_waiting_due),
        },
        State.STARTED: {
            Input.COMPLETE: To(State.OVER, _on_complete),
            Input.FAIL: To(State.STARTED, _on_fail),
            Input.CANCELED: To(State.OVER, _on_canceled),
            Input.CANCEL: To(State.STARTED, _on_cancel_running),
            Input.DUE: To(State.STARTED, _on_running_due),
        },
        State.BACKOFF: {
            Input.CANCEL: To(State.OVER, _on_cancel_waiting),
            Input.DUE: To(State.QUEUED, _on_backoff_due),
        },
        State.OVER: {},
    }
