"""Calendars and intervals that are written as text: calendar specs and cron strings."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.api.schedule.v1 import (
    CalendarSpec,
    IntervalSpec,
    StructuredCalendarSpec,
)

from dbosify._model import clock

from . import durations, ranges
from .ranges import Field, InvalidSpec

_PREDEFINED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_TEXT_FIELDS: tuple[tuple[str, Field], ...] = (
    ("second", ranges.SECOND),
    ("minute", ranges.MINUTE),
    ("hour", ranges.HOUR),
    ("day_of_week", ranges.DAY_OF_WEEK),
    ("day_of_month", ranges.DAY_OF_MONTH),
    ("month", ranges.MONTH),
    ("year", ranges.YEAR),
)
"""In the order in which the server tells what is wrong with them."""

_FIVE = ("minute", "hour", "day_of_month", "month", "day_of_week")
_LAYOUTS = {5: _FIVE, 6: (*_FIVE, "year"), 7: ("second", *_FIVE, "year")}


def calendar(text: CalendarSpec) -> StructuredCalendarSpec:
    """A calendar spec, structured.

    Raises:
        InvalidSpec: with everything that is wrong with it.
    """
    structured = StructuredCalendarSpec(comment=text.comment)
    wrong = []
    for name, field in _TEXT_FIELDS:
        try:
            getattr(structured, name).extend(ranges.parse(getattr(text, name), field))
        except InvalidSpec as error:
            wrong.append(str(error))
    if wrong:
        raise InvalidSpec(", ".join(wrong))
    return structured


@dataclass(frozen=True, slots=True)
class Cron:
    """What a cron string says: a calendar or an interval, and maybe where."""

    calendar: StructuredCalendarSpec | None = None
    interval: IntervalSpec | None = None
    zone: str = ""


def parse(text: str) -> Cron:
    """Read a cron string.

    Raises:
        InvalidSpec: it is malformed.
    """
    text = text.strip()
    zone = ""
    if text.startswith(("TZ=", "CRON_TZ=")):
        prefix, blank, text = text.partition(" ")
        if not blank:
            raise InvalidSpec("CronString has time zone but missing fields")
        zone = prefix.partition("=")[2]
    text, _, comment = text.partition("#")
    text = text.strip()
    if text.startswith("@every"):
        return Cron(interval=_every(text))
    words = _PREDEFINED.get(text, text).split()
    if len(words) not in _LAYOUTS:
        raise InvalidSpec("CronString does not have 5-7 fields")
    fields = dict(zip(_LAYOUTS[len(words)], words, strict=True))
    return Cron(calendar(CalendarSpec(comment=comment.strip(), **fields)), zone=zone)


def _every(text: str) -> IntervalSpec:
    _, blank, rest = text.partition(" ")
    if not blank:
        raise InvalidSpec("CronString does not have interval after @every")
    interval, _, phase = rest.partition("/")
    spec = IntervalSpec(interval=clock.duration_of(durations.parse(interval)))
    if phase:
        spec.phase.CopyFrom(clock.duration_of(durations.parse(phase)))
    return spec
