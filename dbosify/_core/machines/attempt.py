"""An activity's attempts: the half of an activity that Temporal keeps in its server.

Waiting for a worker, running, waiting to be retried, over. The machine decides on
retries and timeouts; where its state is kept (in the memory of the process that owns
the run, or in a row that any worker may claim) is not its business.
"""

from __future__ import annotations

import enum
from typing import ClassVar

from temporalio.api.history.v1 import (
    ActivityTaskCanceledEventAttributes,
    ActivityTaskCompletedEventAttributes,
    ActivityTaskFailedEventAttributes,
    ActivityTaskStartedEventAttributes,
    ActivityTaskTimedOutEventAttributes,
)

from dbosify._core.fsm import Machine, Table, To
from dbosify._core.retry import Verdict, decide
from dbosify._model import clock, failures, limits
from dbosify._model.activity import AttemptState as State
from dbosify._model.activity import Progress
from dbosify._model.protos import (
    ActivityTaskScheduledEventAttributes,
    EventType,
    Failure,
    HistoryEvent,
    Payloads,
    RetryState,
    TimeoutType,
)


class Input(enum.Enum):
    """What can happen to it."""

    START = enum.auto()
    COMPLETE = enum.auto()
    FAIL = enum.auto()
    CANCELED = enum.auto()
    CANCEL = enum.auto()
    HEARTBEAT = enum.auto()
    DUE = enum.auto()
    LOST = enum.auto()


class AttemptMachine(Machine):
    """The attempts of one activity.

    Args:
        scheduled: its ActivityTaskScheduled event.
        progress: where it stands; a fresh first attempt if left out.
        state: likewise.
    """

    __slots__ = ("closing", "event_id", "options", "progress", "scheduled_at")

    def __init__(
        self,
        scheduled: HistoryEvent,
        progress: Progress | None = None,
        state: State = State.SCHEDULED,
    ) -> None:
        super().__init__(state)
        self.options: ActivityTaskScheduledEventAttributes = (
            scheduled.activity_task_scheduled_event_attributes
        )
        self.event_id = scheduled.event_id
        self.scheduled_at = clock.seconds(scheduled.event_time)
        self.progress = progress or Progress(1, self.scheduled_at)
        self.closing: tuple[HistoryEvent, ...] | None = None

    @property
    def attempt_state(self) -> State:
        """The state, as it is stored."""
        assert isinstance(self.state, State), "its table has no other states"
        return self.state

    @property
    def deadline(self) -> float | None:
        """When `due` must be called next, in seconds since 1970."""
        if self.state is State.BACKOFF:
            return self.progress.attempt_scheduled_at
        times = [min(moment, clock.FAR) for moment, _ in self._timeouts()]
        return min(times, default=None)

    @property
    def last_attempt(self) -> bool:
        """Whether the policy allows no attempt after this one."""
        return 0 < self.options.retry_policy.maximum_attempts <= self.progress.attempt

    def start(self, now: float, *, identity: str, token: str) -> None:
        """A worker takes the attempt."""
        self.fire(Input.START, now, identity, token)

    def complete(self, now: float, result: Payloads | None, identity: str) -> None:
        """The attempt returned; what it returned may be too big."""
        self.fire(Input.COMPLETE, now, result, identity)

    def fail(self, now: float, failure: Failure, identity: str) -> None:
        """The attempt raised; it is retried if the policy allows."""
        self.fire(Input.FAIL, now, failure, identity)

    def canceled(self, now: float, details: Payloads | None, identity: str) -> None:
        """The attempt ended because it was asked to."""
        self.fire(Input.CANCELED, now, details, identity)

    def cancel(self, now: float) -> None:
        """The workflow asks for the end; an attempt that runs hears of it later."""
        self.fire(Input.CANCEL, now)

    def beat(self, now: float, details: Payloads | None, identity: str) -> None:
        """The attempt is alive; what it says may be too much and end it."""
        self.fire(Input.HEARTBEAT, now, details, identity)

    def due(self, now: float) -> None:
        """The deadline has come."""
        self.fire(Input.DUE, now)

    def lost(self, now: float) -> None:
        """The worker that ran the attempt is gone."""
        self.fire(Input.LOST, now)

    # Handlers.

    def _on_start(self, now: float, identity: str, token: str) -> None:
        self.progress.started_at = now
        self.progress.heartbeat_at = None
        self.progress.identity = identity
        self.progress.token = token

    def _on_complete(self, now: float, result: Payloads | None, identity: str) -> None:
        if result is not None and result.ByteSize() > limits.current.blob_bytes:
            self._fail_for_good(now, "Complete result exceeds size limit.", identity)
            return
        completed = ActivityTaskCompletedEventAttributes(
            scheduled_event_id=self.event_id, result=result, identity=identity
        )
        self._close(
            now,
            HistoryEvent(
                event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
                activity_task_completed_event_attributes=completed,
            ),
        )

    def _on_fail(self, now: float, failure: Failure, identity: str) -> None:
        most = limits.current.blob_bytes
        failure = limits.within(failure, most, cut_to=min(limits.CUT_FAILURE, most))
        verdict = self._verdict(failure, now)
        if verdict.delay is not None:
            self._back_off(now, verdict.delay, failure)
            return
        self._close(
            now,
            HistoryEvent(
                event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
                activity_task_failed_event_attributes=ActivityTaskFailedEventAttributes(
                    scheduled_event_id=self.event_id,
                    failure=failure,
                    identity=identity,
                    retry_state=verdict.state,
                ),
            ),
        )

    def _on_canceled(self, now: float, details: Payloads | None, identity: str) -> None:
        self._close(now, self._canceled_event(details, identity))

    def _on_cancel_waiting(self, now: float) -> None:
        details = Payloads()
        details.payloads.add(
            metadata={"encoding": b"json/plain"}, data=b'"ACTIVITY_ID_NOT_STARTED"'
        )
        self.progress.started_at = None
        self._close(now, self._canceled_event(details, self.progress.identity))

    def _on_cancel_running(self, now: float) -> None:
        self.progress.cancel_requested = True

    def _on_heartbeat(
        self, now: float, details: Payloads | None, identity: str
    ) -> None:
        if details is not None and details.ByteSize() > limits.current.blob_bytes:
            self._fail_for_good(now, "Heartbeat details exceed size limit.", identity)
            return
        self.progress.heartbeat_at = now
        self.progress.heartbeat = details

    def _on_backoff_over(self, now: float) -> None:
        """The next attempt may start; its state says all."""

    def _on_unstarted_due(self, now: float) -> None:
        # A first attempt has both deadlines at once if only the longer one was given:
        # then it is the start that did not happen.
        to_start = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
        _, kind = min(self._timeouts(), key=lambda pair: (pair[0], pair[1] != to_start))
        self._time_out(now, kind)

    def _on_running_due(self, now: float) -> None:
        kind = min(self._timeouts(), key=lambda pair: pair[0])[1]
        if kind == TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE:
            self._time_out(now, kind)
        else:
            self._retry_or_time_out(now, kind, delay=None)

    def _on_lost(self, now: float) -> None:
        kind = (
            TimeoutType.TIMEOUT_TYPE_HEARTBEAT
            if clock.seconds(self.options.heartbeat_timeout) > 0
            else TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
        )
        # Nobody gains by waiting: the attempt did not fail, its worker did.
        self._retry_or_time_out(now, kind, delay=0.0)

    # What the handlers share.

    def _timeouts(self) -> list[tuple[float, TimeoutType.ValueType]]:
        progress, options = self.progress, self.options
        waiting = progress.started_at is None
        started = progress.started_at or 0.0
        alive = progress.heartbeat_at or started
        rows = [
            (
                self.scheduled_at,
                options.schedule_to_close_timeout,
                TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE,
                True,
            ),
            (
                progress.attempt_scheduled_at,
                options.schedule_to_start_timeout,
                TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START,
                waiting,
            ),
            (
                started,
                options.start_to_close_timeout,
                TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE,
                not waiting,
            ),
            (
                alive,
                options.heartbeat_timeout,
                TimeoutType.TIMEOUT_TYPE_HEARTBEAT,
                not waiting,
            ),
        ]
        return [
            (since + clock.seconds(limit), kind)
            for since, limit, kind, applies in rows
            if applies and clock.seconds(limit) > 0
        ]

    def _verdict(self, failure: Failure, now: float) -> Verdict:
        if self.progress.cancel_requested:
            return Verdict(RetryState.RETRY_STATE_CANCEL_REQUESTED, None)
        total = clock.seconds(self.options.schedule_to_close_timeout)
        verdict = decide(
            self.options.retry_policy,
            failure,
            attempt=self.progress.attempt,
            now=now,
            deadline=self.scheduled_at + total if total > 0 else None,
        )
        spent = verdict.state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED
        if spent and self.progress.pause is not None:
            # The server allows it one more, once somebody has unpaused it.
            return Verdict(RetryState.RETRY_STATE_IN_PROGRESS, 0.0)
        return verdict

    def _back_off(self, now: float, delay: float, failure: Failure) -> None:
        self.state = State.BACKOFF
        progress = self.progress
        progress.attempt += 1
        progress.attempt_scheduled_at = min(now + delay, clock.FAR)
        progress.started_at = None
        progress.completed_at = now
        progress.last_failure = Failure()
        progress.last_failure.CopyFrom(limits.within(failure, limits.KEPT_FAILURE))
        if failure.HasField("timeout_failure_info"):
            # What the attempt before it died of is told only by the last one.
            progress.last_failure.ClearField("cause")
        progress.token = ""

    def _retry_or_time_out(
        self, now: float, kind: TimeoutType.ValueType, delay: float | None
    ) -> None:
        failure = self._timeout_failure(kind)
        verdict = self._verdict(failure, now)
        if verdict.delay is not None:
            self._back_off(now, verdict.delay if delay is None else delay, failure)
        elif verdict.state == RetryState.RETRY_STATE_TIMEOUT:
            self._time_out(now, TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE)
        else:
            self._time_out(now, kind, verdict.state)

    def _timeout_failure(self, kind: TimeoutType.ValueType) -> Failure:
        heartbeat = self.progress.heartbeat
        if kind == TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START:
            heartbeat = None
        return failures.activity_timeout(
            kind, heartbeat=heartbeat, cause=self.progress.last_failure
        )

    def _time_out(
        self,
        now: float,
        kind: TimeoutType.ValueType,
        retry_state: RetryState.ValueType = RetryState.RETRY_STATE_TIMEOUT,
    ) -> None:
        if self.progress.cancel_requested:
            retry_state = RetryState.RETRY_STATE_CANCEL_REQUESTED
        self._close(
            now,
            HistoryEvent(
                event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
                activity_task_timed_out_event_attributes=(
                    ActivityTaskTimedOutEventAttributes(
                        scheduled_event_id=self.event_id,
                        failure=self._timeout_failure(kind),
                        retry_state=retry_state,
                    )
                ),
            ),
        )

    def _canceled_event(self, details: Payloads | None, identity: str) -> HistoryEvent:
        return HistoryEvent(
            event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
            activity_task_canceled_event_attributes=ActivityTaskCanceledEventAttributes(
                scheduled_event_id=self.event_id, details=details, identity=identity
            ),
        )

    def _fail_for_good(self, now: float, message: str, identity: str) -> None:
        failure = Failure(message=message)
        failure.server_failure_info.non_retryable = True
        self._on_fail(now, failure, identity)

    def _close(self, now: float, event: HistoryEvent) -> None:
        """The last attempt is over: history hears of its start and of its end."""
        self.state = State.OVER
        at = clock.of_seconds(now)
        event.event_time.CopyFrom(at)
        progress = self.progress
        if progress.started_at is None:
            self.closing = (event,)
            return
        started = HistoryEvent(
            event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
            event_time=clock.of_seconds(progress.started_at),
            activity_task_started_event_attributes=ActivityTaskStartedEventAttributes(
                scheduled_event_id=self.event_id,
                identity=progress.identity,
                request_id=progress.token,
                attempt=progress.attempt,
                last_failure=progress.last_failure,
            ),
        )
        self.closing = (started, event)

    table: ClassVar[Table] = {
        State.SCHEDULED: {
            Input.START: To(State.STARTED, _on_start),
            Input.CANCEL: To(State.OVER, _on_cancel_waiting),
            Input.DUE: To(State.OVER, _on_unstarted_due),
        },
        State.STARTED: {
            Input.COMPLETE: To(State.OVER, _on_complete),
            Input.FAIL: To(State.STARTED, _on_fail),
            Input.CANCELED: To(State.OVER, _on_canceled),
            Input.CANCEL: To(State.STARTED, _on_cancel_running),
            Input.HEARTBEAT: To(State.STARTED, _on_heartbeat),
            Input.DUE: To(State.STARTED, _on_running_due),
            Input.LOST: To(State.STARTED, _on_lost),
        },
        State.BACKOFF: {
            Input.DUE: To(State.SCHEDULED, _on_backoff_over),
            Input.CANCEL: To(State.OVER, _on_cancel_waiting),
        },
        State.OVER: {},
    }
