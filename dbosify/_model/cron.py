"""The cron strings of workflows: which are valid, and when the next run begins.

They are those of Temporal's server, which takes fewer than most cron libraries (five
fields, no seconds, no ``L`` or ``#``, Sunday is 0 only) and a few more words
(``@every 1h30m``, ``CRON_TZ=``). Fire times are whole seconds of UTC. Where clocks
change, an hour that is skipped has no fire times and one that comes twice has them
twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from . import clock
from .protos import Timestamp

_MONTHS = [
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_SECOND = 1_000_000_000
_LONGEST = 2**63 / _SECOND
"""Seconds; Go counts nanoseconds."""
_TOO_LONG = 19
_YEARS = 5
"""How far ahead a fire time is looked for; so far does the server."""


class BadCron(ValueError):
    """The string is no cron schedule."""


@dataclass(frozen=True, slots=True)
class Every:
    """Fires in a fixed distance, in seconds, from where it is counted."""

    seconds: int

    def first_from(self, start: int, earliest: int) -> int:
        """The first fire time that is not before `earliest`, counted from `start`."""
        steps = max(1, -((start - earliest) // self.seconds))
        return start + steps * self.seconds


@dataclass(frozen=True, slots=True)
class Calendar:
    """Fires at the minutes of a zone's clock whose parts are all listed."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    """One of the two day fields is a star, so that the other alone decides."""
    zone: ZoneInfo | timezone

    def first_from(self, start: int, earliest: int) -> int | None:
        """The first fire time after `start` that is not before `earliest`."""
        after = max(start + 1, earliest)
        day = datetime.fromtimestamp(after, self.zone).date()
        end = day.replace(year=day.year + _YEARS, day=1)
        while day <= end:
            if self._fires_on(day):
                for moment in self._moments(day):
                    if moment >= after:
                        return moment
            day += timedelta(days=1)
        return None

    def _fires_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_day = day.day in self.days
        by_weekday = day.isoweekday() % 7 in self.weekdays
        if self.any_day:
            return by_day and by_weekday
        return by_day or by_weekday

    def _moments(self, day: date) -> Iterable[int]:
        """Its fire times on a day, in order, as seconds since 1970."""
        moments = self._moments_by_the_clock(day)
        midnight = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        if midnight.utcoffset() == (midnight + timedelta(days=1)).utcoffset():
            return moments
        return sorted(moments)

    def _moments_by_the_clock(self, day: date) -> Iterator[int]:
        for hour in self.hours:
            for fold in (0, 1):
                for minute in self.minutes:
                    local = datetime(
                        *(day.year, day.month, day.day, hour, minute),
                        tzinfo=self.zone,
                        fold=fold,
                    )
                    moment = int(local.timestamp())
                    again = datetime.fromtimestamp(moment, self.zone)
                    if (again.hour, again.minute, again.fold) == (hour, minute, fold):
                        yield moment


def parse(text: str) -> Every | Calendar:
    """Read a cron string.

    Raises:
        BadCron: the server would not take it either.
    """
    zone: ZoneInfo | timezone = timezone.utc
    if text.startswith(("TZ=", "CRON_TZ=")):
        name, space, text = text.partition(" ")
        if not space:
            raise BadCron("there is no schedule after the time zone")
        zone = _zone(name.partition("=")[2])
        text = text.strip()
    if text.startswith("@every "):
        return Every(max(1, int(_duration(text.removeprefix("@every ")))))
    if text.startswith("@") and text not in _NICKNAMES:
        raise BadCron(f"{text} is not known")
    fields = _NICKNAMES.get(text, text).split()
    if len(fields) != 5:
        raise BadCron("there are not five fields")
    minutes, hours, days, months, weekdays = fields
    return Calendar(
        minutes=tuple(sorted(_field(minutes, 0, 59))),
        hours=tuple(sorted(_field(hours, 0, 23))),
        days=frozenset(_field(days, 1, 31)),
        months=frozenset(_field(months, 1, 12, _MONTHS)),
        weekdays=frozenset(_field(weekdays, 0, 6, _WEEKDAYS)),
        any_day=_is_star(days) or _is_star(weekdays),
        zone=zone,
    )


def ever_fires(text: str) -> bool:
    """Whether a cron string has any fire time: the 30th of February has none.

    Raises:
        BadCron: it is none.
    """
    return parse(text).first_from(0, 0) is not None


def backoff(text: str, scheduled: Timestamp, now: Timestamp) -> int | None:
    """Whole seconds from `now` until a chain's next run begins.

    Args:
        text: a valid cron string.
        scheduled: when the run before was to begin; `now` if there was none.
        now: the database's time.

    Returns:
        None if the schedule has no fire time within five years.
    """
    moment = clock.nanoseconds(scheduled)
    if clock.nanoseconds(now) >= moment:
        earliest = now.seconds + (now.nanos > 0)
        second = parse(text).first_from(scheduled.seconds, earliest)
        if second is None:
            return None
        moment = second * _SECOND
    return -((clock.nanoseconds(now) - moment) // _SECOND)


def _zone(name: str) -> ZoneInfo | timezone:
    if name in ("", "UTC", "Local"):
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise BadCron(f"there is no time zone {name}") from None


def _duration(text: str) -> float:
    """A duration as Go writes it, in seconds."""
    unsigned = (
        text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    )
    if unsigned == "0":
        return 0.0
    if not unsigned or _DURATION.sub("", unsigned):
        raise BadCron(f"{text} is no duration")
    total = sum(
        float(number) * _UNITS[unit] for number, unit in _DURATION.findall(unsigned)
    )
    if total > _LONGEST:
        raise BadCron(f"{text} is too long")
    return -total if text.startswith("-") else total


def _field(
    text: str, lowest: int, highest: int, names: list[str] | None = None
) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        if part:
            values.update(_range(part, lowest, highest, names))
    return values


def _range(text: str, lowest: int, highest: int, names: list[str] | None) -> range:
    span, slash, step = text.partition("/")
    low, dash, high = span.partition("-")
    if low in ("*", "?"):
        first, last = lowest, highest
    else:
        first = _number(low, lowest, names)
        last = _number(high, lowest, names) if dash else first
        if slash and not dash:
            last = highest
    stride = _number(step, 0, None) if slash else 1
    if not lowest <= first <= last <= highest or stride == 0:
        raise BadCron(f"{text} is out of range")
    return range(first, last + 1, stride)


def _number(text: str, lowest: int, names: list[str] | None) -> int:
    if names is not None and text.lower() in names:
        return names.index(text.lower()) + lowest
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < _TOO_LONG):
        raise BadCron(f"{text} is no number")
    return int(digits)


def _is_star(text: str) -> bool:
    """Whether a day field leaves the decision to the other one."""
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span.partition("-")[0] in ("*", "?") and step in ("", "1"):
            return True
    return False
