"""A schedule's spec in the one form that is stored, shown and calculated with.

Whatever was written as text becomes structured calendars and intervals; what is wrong
is told in the server's words.
"""

from __future__ import annotations

from collections.abc import Iterable

from temporalio.api.schedule.v1 import (
    IntervalSpec,
    ScheduleSpec,
    StructuredCalendarSpec,
)

from dbosify._model import clock

from . import cron, ranges
from .ranges import Field, InvalidSpec

_SECOND = 1_000_000_000
_LONGEST_COMMENT = 200
_FIELDS: tuple[tuple[str, Field], ...] = (
    ("second", ranges.SECOND),
    ("minute", ranges.MINUTE),
    ("hour", ranges.HOUR),
    ("day_of_month", ranges.DAY_OF_MONTH),
    ("month", ranges.MONTH),
    ("year", ranges.YEAR),
    ("day_of_week", ranges.DAY_OF_WEEK),
)
"""In the order in which the server tells what is wrong with them."""


def canonical(spec: ScheduleSpec) -> ScheduleSpec:
    """The spec without texts: calendars structured, cron strings taken apart.

    Raises:
        InvalidSpec: with the server's text.
    """
    result = ScheduleSpec()
    result.CopyFrom(spec)
    result.structured_calendar.extend(cron.calendar(text) for text in spec.calendar)
    result.exclude_structured_calendar.extend(
        cron.calendar(text) for text in spec.exclude_calendar
    )
    _add_cron_strings(result, spec.cron_string)
    for emptied in ("calendar", "exclude_calendar", "cron_string"):
        result.ClearField(emptied)
    for calendar in result.structured_calendar:
        _check_calendar(calendar)
    for interval in result.interval:
        _check_interval(interval)
    return result


def _add_cron_strings(result: ScheduleSpec, texts: Iterable[str]) -> None:
    parsed = [cron.parse(text) for text in texts]
    result.structured_calendar.extend(
        each.calendar for each in parsed if each.calendar is not None
    )
    result.interval.extend(
        each.interval for each in parsed if each.interval is not None
    )
    zones = {each.zone for each in parsed}
    if len(zones) > 1:
        raise InvalidSpec("conflicting timezone names")
    zone = "".join(zones)
    if zone:
        if result.timezone_name not in ("", zone) or result.timezone_data:
            raise InvalidSpec("conflicting timezone names")
        result.timezone_name = zone


def _check_calendar(calendar: StructuredCalendarSpec) -> None:
    wrong = [
        problem
        for name, field in _FIELDS
        for problem in ranges.problems(getattr(calendar, name), field)
    ]
    if len(calendar.comment.encode()) > _LONGEST_COMMENT:
        wrong.append("comment is too long")
    if wrong:
        raise InvalidSpec("invalid calendar spec: " + ", ".join(wrong))


def _check_interval(spec: IntervalSpec) -> None:
    interval = clock.duration_nanoseconds(spec.interval)
    phase = clock.duration_nanoseconds(spec.phase)
    if interval < _SECOND:
        raise InvalidSpec("interval is too small")
    if phase < 0:
        raise InvalidSpec("phase is negative")
    if phase >= interval:
        raise InvalidSpec("phase cannot be greater than Interval")


def written_out(spec: ScheduleSpec) -> ScheduleSpec:
    """A canonical spec as describe shows it: ranges without defaults."""
    result = ScheduleSpec()
    result.CopyFrom(spec)
    for calendar in (*result.structured_calendar, *result.exclude_structured_calendar):
        for name, _ in _FIELDS:
            ranges.fill(getattr(calendar, name))
    return result
