"""The next time that a calendar matches, in any time zone.

A day is cut into segments of one UTC offset each. Within one, local time is UTC plus a
constant, so a local time that a clock change skips is in no segment and never matches,
and one that it repeats is in two and matches twice. That is what Temporal does west of
Greenwich; elsewhere it takes the later of the two only, and so do we.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo

from temporalio.api.schedule.v1 import StructuredCalendarSpec

from . import ranges

_DAY = 86400
_HOUR = 3600
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST = date(1, 1, 3).toordinal()
_ORDINAL_1970 = date(1970, 1, 1).toordinal()
_END = (date(ranges.MAX_YEAR + 1, 1, 2).toordinal() - _ORDINAL_1970) * _DAY


@dataclass(frozen=True, slots=True)
class Calendar:
    """The values of each field that match, in order."""

    years: frozenset[int]
    """Empty: every year."""
    months: tuple[int, ...]
    days: tuple[int, ...]
    weekdays: frozenset[int]
    """Sunday is 0."""
    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]


def compiled(spec: StructuredCalendarSpec) -> Calendar:
    """A checked spec, ready for the search."""
    return Calendar(
        ranges.values(spec.year, ranges.YEAR),
        tuple(sorted(ranges.values(spec.month, ranges.MONTH))),
        tuple(sorted(ranges.values(spec.day_of_month, ranges.DAY_OF_MONTH))),
        ranges.values(spec.day_of_week, ranges.DAY_OF_WEEK),
        tuple(sorted(ranges.values(spec.hour, ranges.HOUR))),
        tuple(sorted(ranges.values(spec.minute, ranges.MINUTE))),
        tuple(sorted(ranges.values(spec.second, ranges.SECOND))),
    )


def next_after(calendar: Calendar, zone: tzinfo, after: int) -> int | None:
    """The first matching second after `after`, both since 1970, if there is one."""
    if after >= _END:
        return None
    # A clock change at midnight may repeat the end of the day before.
    first = max(after // _DAY + _ORDINAL_1970 - 2, _FIRST)
    for ordinal in _days(calendar, first):
        midnight = (ordinal - _ORDINAL_1970) * _DAY
        if midnight + 2 * _DAY < after:
            continue
        for start, end, offset in _segments(zone, midnight):
            earliest = max(start, after + 1)
            least = earliest + offset - midnight
            found = _first_second(calendar, max(least, 0))
            if found is not None:
                result = midnight + found - offset
                if result < end:
                    return result
    return None


def matches(calendar: Calendar, zone: tzinfo, moment: int) -> bool:
    """Whether a second since 1970 matches."""
    local = (_EPOCH + timedelta(seconds=moment)).astimezone(zone)
    return (
        (not calendar.years or local.year in calendar.years)
        and local.month in calendar.months
        and local.day in calendar.days
        and local.isoweekday() % 7 in calendar.weekdays
        and local.hour in calendar.hours
        and local.minute in calendar.minutes
        and local.second in calendar.seconds
    )


def _days(calendar: Calendar, first: int) -> Iterator[int]:
    """Ordinals of the matching dates from `first` on."""
    start = date.fromordinal(first)
    for year in range(start.year, ranges.MAX_YEAR + 1):
        if calendar.years and year not in calendar.years:
            continue
        for month in calendar.months:
            if (year, month) < (start.year, start.month):
                continue
            begin = date(year, month, 1).toordinal()
            length = (date(year + month // 12, month % 12 + 1, 1)).toordinal() - begin
            for day in calendar.days:
                ordinal = begin + day - 1
                if (
                    day <= length
                    and ordinal >= first
                    and ordinal % 7 in calendar.weekdays
                ):
                    yield ordinal


def _segments(zone: tzinfo, midnight: int) -> Iterator[tuple[int, int, int]]:
    """Start, end and offset of the parts of a local day, in seconds.

    Args:
        zone: where.
        midnight: the day's beginning as if its clocks showed UTC.
    """
    begin, end = midnight - _DAY, midnight + 2 * _DAY
    changes = [begin]
    before = _offset(zone, begin)
    if before != _offset(zone, end):
        for mark in range(begin + _HOUR, end + 1, _HOUR):
            offset = _offset(zone, mark)
            if offset != before:
                changes.append(_change(zone, mark - _HOUR, mark))
                before = offset
    for start, until in zip(changes, [*changes[1:], end], strict=True):
        offset = _offset(zone, start)
        following = _offset(zone, until)
        if 0 <= following < offset:
            until -= offset - following  # see the module's text
        # Only what the local clocks call this day.
        start = max(start, midnight - offset)
        until = min(until, midnight + _DAY - offset)
        if start < until:
            yield start, until, offset


def _change(zone: tzinfo, low: int, high: int) -> int:
    """The first second in `low`..`high` that has the offset of `high`."""
    late = _offset(zone, high)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == late:
            high = middle
        else:
            low = middle
    return high


def _offset(zone: tzinfo, moment: int) -> int:
    offset = (_EPOCH + timedelta(seconds=moment)).astimezone(zone).utcoffset()
    assert offset is not None, "a zone has one"
    return int(offset.total_seconds())


def _first_second(calendar: Calendar, least: int) -> int | None:
    """The first matching second of a day from `least` on."""
    for hour in calendar.hours:
        if hour * _HOUR + _HOUR <= least:
            continue
        for minute in calendar.minutes:
            start = hour * _HOUR + minute * 60
            if start + 60 <= least:
                continue
            for second in calendar.seconds:
                if start + second >= least:
                    return start + second
    return None
