"""The timers of a cached run: they live in the event loop, the journal has them all.

A timer that is due becomes news once. One that is cancelled is forgotten even if it is
news already, as Temporal's server drops a fire that it has not delivered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from temporalio.api.history.v1 import TimerFiredEventAttributes

from dbosify._core.machines.timer import TimerMachine
from dbosify._model.protos import EventType, HistoryEvent

from . import faults
from .clock import DatabaseClock
from .faults import Point


class RunTimers:
    """See the module's text.

    Args:
        clock: the database's.
        on_fired: called with the event of a timer that is due.
    """

    def __init__(
        self, clock: DatabaseClock, on_fired: Callable[[Sequence[HistoryEvent]], None]
    ) -> None:
        self._clock = clock
        self._on_fired = on_fired
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def arm(self, timer_id: str, started_event_id: int, deadline: float) -> None:
        """Wait for a timer; again is harmless."""
        if timer_id in self._handles:
            return
        delay = self._clock.wait_for(deadline)
        self._handles[timer_id] = asyncio.get_running_loop().call_later(
            delay, self._fire, timer_id, started_event_id, deadline
        )

    def disarm(self, timer_id: str) -> None:
        """Wait for it no longer."""
        handle = self._handles.pop(timer_id, None)
        if handle is not None:
            handle.cancel()

    def rearm(
        self, timers: Iterable[TimerMachine], news: Iterable[Sequence[HistoryEvent]]
    ) -> None:
        """Wait for the timers of a rebuilt run, but for those that are news already."""
        fired = {timer_of(group) for group in news}
        for timer in timers:
            if str(timer.seq) not in fired:
                self.arm(str(timer.seq), timer.opened_by, timer.deadline)

    def stop(self) -> None:
        """Wait for nothing more."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _fire(self, timer_id: str, started_event_id: int, deadline: float) -> None:
        self._handles.pop(timer_id, None)
        if self._clock.seconds() < deadline:
            # The loop's clock runs ahead of the database's.
            self.arm(timer_id, started_event_id, deadline)
            return
        faults.reach(Point.TIMER_FIRED)
        fired = TimerFiredEventAttributes(
            timer_id=timer_id, started_event_id=started_event_id
        )
        self._on_fired(
            [
                HistoryEvent(
                    event_time=self._clock.now(),
                    event_type=EventType.EVENT_TYPE_TIMER_FIRED,
                    timer_fired_event_attributes=fired,
                )
            ]
        )


def timer_of(group: Sequence[HistoryEvent]) -> str:
    """The timer that news are about, or an empty text."""
    return group[0].timer_fired_event_attributes.timer_id


def waking_time(
    timers: Iterable[TimerMachine], now: float, ahead: float
) -> float | None:
    """When a run that is parked now is to be woken for its timers.

    Args:
        timers: the run's.
        now: in seconds since 1970.
        ahead: the seconds it takes, at most, until the run is in memory again.

    Returns:
        Seconds since 1970, or None if no timer waits. The moment itself if it is
        nearer than `ahead`: who was woken ahead and parked again, for want of room,
        would else be woken without end.
    """
    deadline = min((timer.deadline for timer in timers), default=None)
    if deadline is None or deadline - ahead <= now:
        return deadline
    return deadline - ahead
