"""A timer: started, then fired or cancelled.

Follows core's timer machine. A timer cancelled in the task that started it leaves no
event at all: the official replayer refuses a history that has one.
"""

from __future__ import annotations

import enum
from typing import ClassVar

from temporalio.api.history.v1 import (
    TimerCanceledEventAttributes,
    TimerStartedEventAttributes,
)

from dbosify._core.commands import Command, Output
from dbosify._core.fsm import Machine, Nondeterminism, Table, To
from dbosify._model import clock
from dbosify._model.effects import CancelTimer, StartTimer
from dbosify._model.protos import (
    Duration,
    EventType,
    HistoryEvent,
    UserMetadata,
    WorkflowActivationJob,
)


class State(enum.Enum):
    """How far the timer got."""

    CREATED = enum.auto()
    STARTED = enum.auto()
    CANCELING = enum.auto()
    OVER = enum.auto()


class Input(enum.Enum):
    """What can happen to the timer."""

    RECORDED = enum.auto()
    FIRED = enum.auto()
    CANCEL = enum.auto()


class TimerMachine(Machine):
    """One timer of a run."""

    title: ClassVar[str] = "Timer"
    opens: ClassVar[EventType.ValueType | None] = EventType.EVENT_TYPE_TIMER_STARTED
    __slots__ = ("deadline", "delay", "opened_by", "seq", "started")

    def __init__(self, seq: int, delay: Duration) -> None:
        super().__init__(State.CREATED)
        self.seq = seq
        self.delay = delay
        self.started: Command | None = None
        self.opened_by = 0
        self.deadline = 0.0

    def start(self, metadata: UserMetadata | None) -> Command:
        """The command that starts it."""
        self.started = Command(
            EventType.EVENT_TYPE_TIMER_STARTED,
            "timer_started_event_attributes",
            TimerStartedEventAttributes(
                timer_id=str(self.seq), start_to_fire_timeout=self.delay
            ),
            self,
            metadata,
        )
        return self.started

    @property
    def over(self) -> bool:
        """Whether it has fired or is cancelled."""
        return self.state is State.OVER

    @property
    def running(self) -> bool:
        """Whether it will fire unless cancelled."""
        return self.state is State.STARTED

    @property
    def holds_id(self) -> bool:
        """Whether no other timer may have its id yet."""
        return self.state in (State.CREATED, State.STARTED)

    def check(self, command: Command, event: HistoryEvent) -> None:
        """See `Recorder.check`; neither ids nor durations are compared here."""

    def recorded(self, command: Command, event: HistoryEvent, out: Output) -> None:
        """See `Recorder.recorded`."""
        self.fire(Input.RECORDED, event, out)

    def on_event(self, event: HistoryEvent, out: Output) -> None:
        """Take the timer's fire.

        Raises:
            Nondeterminism: the event names another timer.
        """
        fired = event.timer_fired_event_attributes.timer_id
        if fired != str(self.seq):
            raise Nondeterminism(
                "Timer fired event did not have expected timer id"
                f" {self.seq}, it was {fired}!"
            )
        self.fire(Input.FIRED, out)

    def cancel(self, out: Output) -> None:
        """Take the workflow's wish to cancel."""
        self.fire(Input.CANCEL, out)

    def _on_started(self, event: HistoryEvent, out: Output) -> None:
        self.opened_by = event.event_id
        self.deadline = clock.seconds(event.event_time) + clock.seconds(self.delay)
        out.effects.append(StartTimer(str(self.seq), event.event_id, self.deadline))

    def _on_fired(self, out: Output) -> None:
        job = WorkflowActivationJob()
        job.fire_timer.seq = self.seq
        out.jobs.append(job)

    def _on_cancel_unsent(self, out: Output) -> None:
        assert self.started is not None, "only a started timer is cancelled"
        self.started.dropped = True

    def _on_cancel(self, out: Output) -> None:
        out.commands.append(
            Command(
                EventType.EVENT_TYPE_TIMER_CANCELED,
                "timer_canceled_event_attributes",
                TimerCanceledEventAttributes(
                    timer_id=str(self.seq), started_event_id=self.opened_by
                ),
                self,
            )
        )

    def _on_canceled(self, event: HistoryEvent, out: Output) -> None:
        out.effects.append(CancelTimer(str(self.seq)))

    table: ClassVar[Table] = {
        State.CREATED: {
            Input.RECORDED: To(State.STARTED, _on_started),
            Input.CANCEL: To(State.OVER, _on_cancel_unsent),
        },
        State.STARTED: {
            Input.FIRED: To(State.OVER, _on_fired),
            Input.CANCEL: To(State.CANCELING, _on_cancel),
        },
        State.CANCELING: {Input.RECORDED: To(State.OVER, _on_canceled)},
        State.OVER: {Input.CANCEL: To(State.OVER)},
    }
