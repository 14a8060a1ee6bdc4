"""Activities to try, and what is told of them, in few words."""

from __future__ import annotations

from typing import Any

from dbosify._core.machines.attempt import AttemptMachine
from dbosify._model import clock
from dbosify._model.activity import AttemptState
from dbosify._model.protos import (
    ActivityTaskScheduledEventAttributes,
    EventType,
    HistoryEvent,
    Payloads,
    RetryState,
)
from tests.unit.core.spelling import BEGAN, at, retry_policy, span
from tests.unit.core.traces import showing


def scheduled(
    *,
    total: float = 0,
    to_start: float = 0,
    run: float = 10,
    heartbeat: float = 0,
    **policy: Any,
) -> HistoryEvent:
    """An ActivityTaskScheduled event with these timeouts and this retry policy."""
    return HistoryEvent(
        event_id=5,
        event_time=at(0),
        event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        activity_task_scheduled_event_attributes=ActivityTaskScheduledEventAttributes(
            activity_id="1",
            schedule_to_close_timeout=span(total),
            schedule_to_start_timeout=span(to_start),
            start_to_close_timeout=span(run),
            heartbeat_timeout=span(heartbeat),
            retry_policy=retry_policy(**policy),
        ),
    )


class Attempts:
    """An activity whose moments are seconds since it was scheduled."""

    def __init__(self, **options: Any) -> None:
        self.machine = AttemptMachine(scheduled(**options))

    @property
    def state(self) -> AttemptState:
        """Where it stands."""
        return self.machine.attempt_state

    @property
    def deadline(self) -> float | None:
        """When it must be looked at."""
        deadline = self.machine.deadline
        return None if deadline is None else round(deadline - BEGAN, 6)

    @property
    def next_attempt(self) -> tuple[int, float]:
        """The number of the attempt that is to come, and when."""
        progress = self.machine.progress
        assert self.state is AttemptState.BACKOFF
        return progress.attempt, round(progress.attempt_scheduled_at - BEGAN, 6)

    @property
    def closing(self) -> list[HistoryEvent]:
        """The events that history hears at the end."""
        assert self.state is AttemptState.OVER
        assert self.machine.closing is not None
        return list(self.machine.closing)

    @property
    def story(self) -> str:
        """The end, in the words of `showing`."""
        last = self.closing[-1]
        words = [showing.event(event) for event in self.closing]
        attributes = getattr(last, last.WhichOneof("attributes") or "")
        if hasattr(attributes, "retry_state"):
            state = RetryState.Name(attributes.retry_state)
            words.append(state.removeprefix("RETRY_STATE_"))
            words.append(showing.failure(attributes.failure))
        return " ".join(words)

    def begin(self, moment: float, worker: str = "worker@here") -> Attempts:
        """A worker takes the attempt, when its back-off is over."""
        if self.state is AttemptState.BACKOFF:
            self.machine.due(BEGAN + moment)
        self.machine.start(BEGAN + moment, identity=worker, token=f"token-{moment}")
        return self

    def raises(self, moment: float, failure: Any) -> Attempts:
        """The attempt fails."""
        self.machine.fail(BEGAN + moment, failure, "worker@here")
        return self

    def beats(self, moment: float, details: Payloads | None = None) -> Attempts:
        """The attempt shows that it is alive."""
        self.machine.beat(BEGAN + moment, details, "worker@here")
        return self

    def asked_to_end(self, moment: float) -> Attempts:
        """The workflow wants it to end."""
        self.machine.cancel(BEGAN + moment)
        return self

    def runs_out(self) -> Attempts:
        """Its next deadline comes."""
        deadline = self.machine.deadline
        assert deadline is not None
        self.machine.due(deadline)
        return self

    def loses_worker(self, moment: float) -> Attempts:
        """The worker's process is gone."""
        self.machine.lost(BEGAN + moment)
        return self


def seconds(event: HistoryEvent) -> float:
    """When an event happened, in seconds since the activity was scheduled."""
    return round(clock.seconds(event.event_time) - BEGAN, 6)
