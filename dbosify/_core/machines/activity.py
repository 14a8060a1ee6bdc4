"""An activity as the workflow sees it: scheduled once, resolved exactly once.

Follows core's activity machine. Attempts and retries are not seen here: history only
tells the last one. Where Temporal's core breaks a run for ever (an activity cancelled
with ABANDON that fails later), the late outcome is swallowed instead.
"""

from __future__ import annotations

import enum
from typing import ClassVar

from google.protobuf.message import Message

from dbosify._core.commands import Command, Output
from dbosify._core.fsm import Machine, Nondeterminism, Table, To
from dbosify._model import failures
from dbosify._model.effects import CancelActivity
from dbosify._model.effects import ScheduleActivity as ScheduleEffect
from dbosify._model.protos import (
    ActivityCancellationType,
    ActivityResolution,
    ActivityTaskCancelRequestedEventAttributes,
    EventType,
    Failure,
    HistoryEvent,
    RetryState,
    ScheduleActivity,
    UserMetadata,
    WorkflowActivationJob,
)


class State(enum.Enum):
    """How far the activity got, for the workflow."""

    CREATED = enum.auto()
    SCHEDULED = enum.auto()
    CANCELING = enum.auto()
    """Cancellation asked for; its true outcome is awaited."""
    LET_GO = enum.auto()
    """Resolved as cancelled at once; whatever happens to it later is swallowed."""
    RESOLVED = enum.auto()
    DROPPED = enum.auto()
    """Cancelled in the task that scheduled it: the server never hears of it."""


class Input(enum.Enum):
    """What can happen to the activity."""

    RECORDED = enum.auto()
    STARTED = enum.auto()
    CLOSED = enum.auto()
    CANCEL = enum.auto()
    CANCEL_RECORDED = enum.auto()


class ActivityMachine(Machine):
    """One remote activity of a run."""

    title: ClassVar[str] = "Activity"
    opens: ClassVar[EventType.ValueType | None] = (
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    )
    __slots__ = (
        "cancel_event_id",
        "command",
        "opened_by",
        "scheduled",
        "started_event_id",
    )

    def __init__(self, command: ScheduleActivity) -> None:
        super().__init__(State.CREATED)
        self.command = command
        self.scheduled: Command | None = None
        self.opened_by = 0
        self.cancel_event_id = 0
        self.started_event_id = 0

    def schedule(self, attributes: Message, metadata: UserMetadata | None) -> Command:
        """The command that schedules it, with the event's attributes."""
        self.scheduled = Command(
            EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
            "activity_task_scheduled_event_attributes",
            attributes,
            self,
            metadata,
        )
        return self.scheduled

    @property
    def over(self) -> bool:
        """Whether its outcome is known, or it never was."""
        return self.state in (State.RESOLVED, State.DROPPED)

    @property
    def pending(self) -> bool:
        """Whether its task may still be queued or running somewhere."""
        return self.state in (State.SCHEDULED, State.CANCELING, State.LET_GO)

    @property
    def holds_id(self) -> bool:
        """Whether no other activity may have its id yet."""
        return self.pending or self.state is State.CREATED

    def check(self, command: Command, event: HistoryEvent) -> None:
        """See `Recorder.check`."""
        if event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            return
        recorded = event.activity_task_scheduled_event_attributes
        if recorded.activity_id != self.command.activity_id:
            raise Nondeterminism(
                f"Activity id of scheduled event '{recorded.activity_id}' does not"
                f" match activity id of activity command '{self.command.activity_id}'"
            )
        if recorded.activity_type.name != self.command.activity_type:
            raise Nondeterminism(
                f"Activity type of scheduled event '{recorded.activity_type.name}' does"
                " not match activity type of activity command"
                f" '{self.command.activity_type}'"
            )

    def recorded(self, command: Command, event: HistoryEvent, out: Output) -> None:
        """See `Recorder.recorded`."""
        if command is self.scheduled:
            self.fire(Input.RECORDED, event, out)
        else:
            self.fire(Input.CANCEL_RECORDED, event, out)

    def on_event(self, event: HistoryEvent, out: Output) -> None:
        """Take an event about the activity's task."""
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            self.fire(Input.STARTED, event, out)
        else:
            self.fire(Input.CLOSED, event, out)

    def cancel(self, out: Output) -> None:
        """Take the workflow's wish to cancel."""
        self.fire(Input.CANCEL, out)

    def _on_recorded(self, event: HistoryEvent, out: Output) -> None:
        self.opened_by = event.event_id
        out.effects.append(
            ScheduleEffect(event, not self.command.do_not_eagerly_execute)
        )

    def _on_started(self, event: HistoryEvent, out: Output) -> None:
        self.started_event_id = event.event_id

    def _on_closed(self, event: HistoryEvent, out: Output) -> None:
        self._resolve(_resolution(self, event), out)

    def _on_cancel_unsent(self, out: Output) -> None:
        assert self.scheduled is not None, "only a scheduled activity is cancelled"
        self.scheduled.dropped = True
        self._resolve(_cancelled_at_once(self), out)

    def _on_cancel(self, out: Output) -> None:
        kind = self.command.cancellation_type
        if kind != ActivityCancellationType.Value("ABANDON"):
            out.commands.append(
                Command(
                    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED,
                    "activity_task_cancel_requested_event_attributes",
                    ActivityTaskCancelRequestedEventAttributes(
                        scheduled_event_id=self.opened_by
                    ),
                    self,
                )
            )
        if kind != ActivityCancellationType.Value("WAIT_CANCELLATION_COMPLETED"):
            self.state = State.LET_GO
            self._resolve(_cancelled_at_once(self), out)

    def _on_cancel_recorded(self, event: HistoryEvent, out: Output) -> None:
        self.cancel_event_id = event.event_id
        out.effects.append(CancelActivity(self.opened_by))

    def _resolve(self, resolution: ActivityResolution, out: Output) -> None:
        job = WorkflowActivationJob()
        job.resolve_activity.seq = self.command.seq
        job.resolve_activity.result.CopyFrom(resolution)
        out.jobs.append(job)

    table: ClassVar[Table] = {
        State.CREATED: {
            Input.RECORDED: To(State.SCHEDULED, _on_recorded),
            Input.CANCEL: To(State.DROPPED, _on_cancel_unsent),
        },
        State.SCHEDULED: {
            Input.STARTED: To(State.SCHEDULED, _on_started),
            Input.CLOSED: To(State.RESOLVED, _on_closed),
            Input.CANCEL: To(State.CANCELING, _on_cancel),
        },
        State.CANCELING: {
            Input.CANCEL_RECORDED: To(State.CANCELING, _on_cancel_recorded),
            Input.STARTED: To(State.CANCELING, _on_started),
            Input.CLOSED: To(State.RESOLVED, _on_closed),
            Input.CANCEL: To(State.CANCELING),
        },
        State.LET_GO: {
            Input.CANCEL_RECORDED: To(State.LET_GO, _on_cancel_recorded),
            Input.STARTED: To(State.LET_GO),
            Input.CLOSED: To(State.RESOLVED),
            Input.CANCEL: To(State.LET_GO),
        },
        State.RESOLVED: {Input.CANCEL: To(State.RESOLVED)},
        State.DROPPED: {Input.CANCEL: To(State.DROPPED)},
    }


def _cancelled_at_once(machine: ActivityMachine) -> ActivityResolution:
    resolution = ActivityResolution()
    resolution.cancelled.failure.CopyFrom(
        failures.activity(
            "Activity cancelled",
            activity_id=machine.command.activity_id,
            activity_type=machine.command.activity_type,
            cause=failures.canceled(),
            retry_state=RetryState.RETRY_STATE_CANCEL_REQUESTED,
        )
    )
    return resolution


def _resolution(machine: ActivityMachine, event: HistoryEvent) -> ActivityResolution:
    resolution = ActivityResolution()
    match event.event_type:
        case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            completed = event.activity_task_completed_event_attributes
            resolution.completed.SetInParent()
            if completed.result.payloads:
                resolution.completed.result.CopyFrom(completed.result.payloads[0])
        case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
            failed = event.activity_task_failed_event_attributes
            resolution.failed.failure.CopyFrom(
                _wrap(
                    machine,
                    "Activity task failed",
                    failed.failure,
                    failed.retry_state,
                    failed.identity,
                )
            )
        case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
            timed_out = event.activity_task_timed_out_event_attributes
            resolution.failed.failure.CopyFrom(
                _wrap(
                    machine,
                    "Activity task timed out",
                    timed_out.failure,
                    timed_out.retry_state,
                    "",
                )
            )
        case _:
            gone = event.activity_task_canceled_event_attributes
            details = gone.details if gone.HasField("details") else None
            resolution.cancelled.failure.CopyFrom(
                _wrap(
                    machine,
                    "Activity cancelled",
                    failures.canceled(details),
                    RetryState.RETRY_STATE_CANCEL_REQUESTED,
                    gone.identity,
                )
            )
    return resolution


def _wrap(
    machine: ActivityMachine,
    message: str,
    cause: Failure,
    retry_state: RetryState.ValueType,
    identity: str,
) -> Failure:
    return failures.activity(
        message,
        activity_id=machine.command.activity_id,
        activity_type=machine.command.activity_type,
        cause=cause,
        retry_state=retry_state,
        identity=identity,
        scheduled_event_id=machine.opened_by,
        started_event_id=machine.started_event_id,
    )
