"""A local activity as the workflow sees it: asked for, resolved once, then a marker.

Follows core's local activity machine. Nothing stands in history before it is over: then
its outcome is a marker among the commands of the workflow task. On replay the markers
of a task are known before its code runs, and resolve the activities that it asks for.
One that has no marker yet, because the worker died, runs again.
"""

from __future__ import annotations

import enum
from typing import ClassVar

from dbosify._core.commands import Command, Output
from dbosify._core.fsm import Machine, Nondeterminism, Table, To
from dbosify._core.local_marker import Marker, parse, write
from dbosify._model import clock, failures
from dbosify._model.local import CancelLocal, End, LocalOutcome, RunLocal
from dbosify._model.protos import (
    ActivityCancellationType,
    ActivityResolution,
    EventType,
    Failure,
    HistoryEvent,
    RetryState,
    ScheduleLocalActivity,
    Timestamp,
    UserMetadata,
    WorkflowActivationJob,
)

_WRAPPED = ("canceled_failure_info", "timeout_failure_info")


class State(enum.Enum):
    """How far it got, for the workflow."""

    ASKED = enum.auto()
    """Nobody runs it: the task's code still works, or it is only replayed."""
    RUNNING = enum.auto()
    ENDED = enum.auto()
    """Resolved; its marker is among the task's commands."""
    REMEMBERED = enum.auto()
    """Resolved by the marker that is still to come on replay."""
    OVER = enum.auto()


class Input(enum.Enum):
    """What can happen to it."""

    START = enum.auto()
    OUTCOME = enum.auto()
    REMEMBER = enum.auto()
    CANCEL = enum.auto()
    REPLAY_CANCEL = enum.auto()
    RECORDED = enum.auto()


class LocalActivityMachine(Machine):
    """One local activity of a run.

    Args:
        command: that asks for it.
        metadata: that goes along with it.
        asked_at: the workflow's time.
    """

    title: ClassVar[str] = "LocalActivity"
    __slots__ = ("_cancel_wanted", "asked_at", "command", "metadata", "scheduled")

    def __init__(
        self,
        command: ScheduleLocalActivity,
        metadata: UserMetadata | None,
        asked_at: Timestamp,
    ) -> None:
        super().__init__(State.ASKED)
        self.command = command
        self.metadata = metadata
        self.asked_at = asked_at
        self.scheduled: Timestamp | None = None
        if command.HasField("original_schedule_time"):
            self.scheduled = command.original_schedule_time
        self._cancel_wanted = False

    @property
    def over(self) -> bool:
        """Whether its marker stands in history."""
        return self.state is State.OVER

    @property
    def pending(self) -> bool:
        """Whether the workflow task has to wait for it."""
        return self.state in (State.ASKED, State.RUNNING)

    def start(self, now: Timestamp, shown_in: int, out: Output) -> None:
        """It is not in history: it must run, unless somebody does that already.

        Args:
            now: the database's time.
            shown_in: the number of the task's next activation.
            out: takes the order.
        """
        if self.state is State.ASKED:
            self._schedule(now)
            self.fire(Input.START, shown_in, out)

    def end(self, outcome: LocalOutcome, shown_in: int, out: Output) -> None:
        """It is over, or waits too long for its next attempt."""
        self.fire(Input.OUTCOME, outcome, shown_in, out)

    def remember(self, marker: Marker, out: Output) -> None:
        """Its marker was found ahead in history."""
        self.fire(Input.REMEMBER, marker, out)

    def cancel(
        self, now: Timestamp, shown_in: int, out: Output, *, replaying: bool
    ) -> None:
        """Take the workflow's wish to cancel."""
        if replaying:
            self.fire(Input.REPLAY_CANCEL)
        else:
            self._schedule(now)
            self.fire(Input.CANCEL, shown_in, out)

    def check(self, command: Command, event: HistoryEvent) -> None:
        """See `Recorder.check`; on replay there is no command to compare."""

    def recorded(self, command: Command, event: HistoryEvent, out: Output) -> None:
        """See `Recorder.recorded`."""
        self.fire(Input.RECORDED, parse(event))

    def on_marker(self, marker: Marker) -> None:
        """Its marker was reached on replay.

        Raises:
            Nondeterminism: the marker names another activity.
        """
        self.fire(Input.RECORDED, marker)

    def _schedule(self, now: Timestamp) -> None:
        if self.scheduled is None:
            self.scheduled = now

    def _on_start(self, shown_in: int, out: Output) -> None:
        if self._cancel_wanted:
            self._on_cancel_asked(shown_in, out)
            self.state = State.ENDED
            return
        assert self.scheduled is not None, "it was just scheduled"
        out.local.append(RunLocal(self.command, self.scheduled))

    def _on_outcome(self, outcome: LocalOutcome, shown_in: int, out: Output) -> None:
        runtime = clock.duration(outcome.runtime)
        self._end(outcome, shown_in, clock.later(self.asked_at, runtime), out)

    def _on_cancel_asked(self, shown_in: int, out: Output) -> None:
        self._end(_cancelled(self.command.attempt), shown_in, None, out)

    def _on_cancel(self, shown_in: int, out: Output) -> None:
        kind = self.command.cancellation_type
        if kind != ActivityCancellationType.Value("ABANDON"):
            out.local.append(CancelLocal(self.command.seq))
        if kind != ActivityCancellationType.Value("WAIT_CANCELLATION_COMPLETED"):
            self._on_cancel_asked(shown_in, out)
            self.state = State.ENDED

    def _on_replay_cancel(self) -> None:
        self._cancel_wanted = True

    def _on_remember(self, marker: Marker, out: Output) -> None:
        scheduled = marker.scheduled
        self._resolve(marker.outcome, scheduled, marker.complete_time, out)

    def _on_recorded(self, marker: Marker) -> None:
        for word, recorded, asked in (
            ("id", marker.activity_id, self.command.activity_id),
            ("type", marker.activity_type, self.command.activity_type),
        ):
            if recorded != asked:
                raise Nondeterminism(
                    f"Activity {word} of recorded marker '{recorded}' does not match"
                    f" activity {word} of local activity command '{asked}'"
                )

    def _end(
        self,
        outcome: LocalOutcome,
        shown_in: int,
        complete_time: Timestamp | None,
        out: Output,
    ) -> None:
        self._resolve(outcome, self.scheduled, complete_time, out)
        marker = Marker(
            self.command.seq,
            self.command.activity_id,
            self.command.activity_type,
            outcome,
            complete_time,
            self.scheduled,
            shown_in,
        )
        attributes = write(marker)
        if self.command.include_arguments_in_marker:
            attributes.details["input"].payloads.extend(self.command.arguments)
        out.commands.append(
            Command(
                EventType.EVENT_TYPE_MARKER_RECORDED,
                "marker_recorded_event_attributes",
                attributes,
                self,
                self.metadata,
            )
        )

    def _resolve(
        self,
        outcome: LocalOutcome,
        scheduled: Timestamp | None,
        complete_time: Timestamp | None,
        out: Output,
    ) -> None:
        job = WorkflowActivationJob()
        job.resolve_activity.seq = self.command.seq
        job.resolve_activity.is_local = True
        job.resolve_activity.result.CopyFrom(_resolution(self, outcome, scheduled))
        out.jobs.append(job)
        if complete_time is not None:
            out.times.append(complete_time)

    table: ClassVar[Table] = {
        State.ASKED: {
            Input.START: To(State.RUNNING, _on_start),
            Input.REMEMBER: To(State.REMEMBERED, _on_remember),
            Input.CANCEL: To(State.ENDED, _on_cancel_asked),
            Input.REPLAY_CANCEL: To(State.ASKED, _on_replay_cancel),
        },
        State.RUNNING: {
            Input.OUTCOME: To(State.ENDED, _on_outcome),
            Input.CANCEL: To(State.RUNNING, _on_cancel),
        },
        State.ENDED: {
            Input.OUTCOME: To(State.ENDED),
            Input.CANCEL: To(State.ENDED),
            Input.RECORDED: To(State.OVER),
        },
        State.REMEMBERED: {
            Input.REPLAY_CANCEL: To(State.REMEMBERED),
            Input.RECORDED: To(State.OVER, _on_recorded),
        },
        State.OVER: {},
    }


def _cancelled(attempt: int) -> LocalOutcome:
    return LocalOutcome(End.CANCELLED, attempt, failure=failures.activity_cancelled())


def _resolution(
    machine: LocalActivityMachine, outcome: LocalOutcome, scheduled: Timestamp | None
) -> ActivityResolution:
    resolution = ActivityResolution()
    if outcome.backoff is not None:
        resolution.backoff.attempt = outcome.attempt + 1
        resolution.backoff.backoff_duration.CopyFrom(clock.duration(outcome.backoff))
        resolution.backoff.original_schedule_time.CopyFrom(scheduled or Timestamp())
        return resolution
    match outcome.end:
        case End.COMPLETED:
            resolution.completed.SetInParent()
            if outcome.result is not None:
                resolution.completed.result.CopyFrom(outcome.result)
        case End.FAILED:
            # Unlike those of other activities these are not wrapped.
            resolution.failed.failure.CopyFrom(outcome.failure or Failure())
        case End.TIMED_OUT:
            resolution.failed.failure.CopyFrom(
                _wrap(machine, "Local Activity timed out", outcome.failure)
            )
        case _:
            resolution.cancelled.failure.CopyFrom(
                _wrap(machine, "Local Activity cancelled", outcome.failure)
            )
    return resolution


def _wrap(
    machine: LocalActivityMachine, message: str, cause: Failure | None
) -> Failure:
    cause = cause or Failure()
    if cause.WhichOneof("failure_info") not in _WRAPPED:
        return cause
    return failures.activity(
        message,
        activity_id=machine.command.activity_id,
        activity_type=machine.command.activity_type,
        cause=cause,
        retry_state=RetryState.RETRY_STATE_CANCEL_REQUESTED,
    )
