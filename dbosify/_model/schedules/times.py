"""When a spec fires: its calendars and intervals together, less what it excludes.

Jitter delays each time by an amount that depends on nothing but the time and the
schedule, so every process comes to the same moment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from temporalio.api.schedule.v1 import IntervalSpec, ScheduleSpec

from dbosify._model import clock

from . import calendars
from .calendars import Calendar

SECOND = 1_000_000_000
_MILLISECOND = 1_000_000
_MOST_EXCLUDED = 2**16
"""Excluded times in a row after which a spec counts as having no more."""


@dataclass(frozen=True, slots=True)
class Firing:
    """One time of a schedule, in nanoseconds since 1970."""

    nominal: int
    """What the spec says; it names the workflow."""
    at: int
    """With jitter: when it happens."""


@dataclass(frozen=True, slots=True)
class Times:
    """All times of a schedule; made by `times_of`."""

    _calendars: tuple[Calendar, ...]
    _excluded: tuple[Calendar, ...]
    _intervals: tuple[tuple[int, int], ...]
    _zone: tzinfo
    _seed: bytes
    _jitter: int
    _start: int | None
    _end: int | None

    def next_after(self, after: int) -> Firing | None:
        """The first firing whose nominal time is after `after`, if there is one.

        Args:
            after: nanoseconds since 1970; in a sequence, the firing before, jitter and
                all, as Temporal has it.
        """
        if self._start is not None and after < self._start:
            after = self._start - SECOND  # so that the start itself may match
        second = after // SECOND
        for _ in range(_MOST_EXCLUDED):
            nominal = self._next_nominal(second)
            if nominal is None or self._is_past(nominal):
                return None
            if not self._is_excluded(nominal):
                return Firing(nominal * SECOND, self._delayed(nominal))
            second = nominal
        return None

    def between(self, after: int, end: int) -> Iterator[Firing]:
        """The firings after `after`, up to `end` and including it."""
        firing = self.next_after(after)
        while firing is not None and firing.at <= end:
            yield firing
            firing = self.next_after(firing.at)

    def _is_past(self, nominal: int) -> bool:
        return self._end is not None and nominal * SECOND > self._end

    def _next_nominal(self, after: int) -> int | None:
        candidates = [
            (after - phase) // interval * interval + interval + phase
            for interval, phase in self._intervals
        ]
        for calendar in self._calendars:
            found = calendars.next_after(calendar, self._zone, after)
            if found is not None:
                candidates.append(found)
        return min(candidates, default=None)

    def _is_excluded(self, nominal: int) -> bool:
        return any(
            calendars.matches(calendar, self._zone, nominal)
            for calendar in self._excluded
        )

    def _delayed(self, nominal: int) -> int:
        jitter = self._jitter
        if jitter:
            following = self._next_nominal(nominal)
            if following is not None:  # never beyond the next time
                jitter = min(jitter, (following - nominal) * SECOND)
        digest = hashlib.blake2b(b"%d-%b" % (nominal, self._seed), digest_size=4)
        share = int.from_bytes(digest.digest(), "big")
        milliseconds = min(jitter // _MILLISECOND, 2**32 - 1)
        return nominal * SECOND + (share * milliseconds >> 32) * _MILLISECOND


def times_of(spec: ScheduleSpec, zone: tzinfo, seed: str) -> Times:
    """The times of a canonical spec.

    Args:
        spec: as `spec.canonical` gives it.
        zone: that it names, or UTC.
        seed: of the jitter; tells schedules apart.
    """
    return Times(
        tuple(calendars.compiled(each) for each in spec.structured_calendar),
        tuple(calendars.compiled(each) for each in spec.exclude_structured_calendar),
        tuple(_seconds(each) for each in spec.interval),
        zone,
        seed.encode(),
        max(clock.duration_nanoseconds(spec.jitter), 0),
        _start_of(spec),
        clock.nanoseconds(spec.end_time) if spec.HasField("end_time") else None,
    )


def _start_of(spec: ScheduleSpec) -> int | None:
    """Its whole second: a time in it is one of the schedule, as Temporal has it.

    A start that lies between two times must not send whoever comes from the first of
    them back to it.
    """
    if not spec.HasField("start_time"):
        return None
    return clock.nanoseconds(spec.start_time) // SECOND * SECOND


def _seconds(spec: IntervalSpec) -> tuple[int, int]:
    return spec.interval.seconds, spec.phase.seconds
