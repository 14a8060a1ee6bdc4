"""The ranges of one field of a calendar: read from text, checked, filled in.

The text is what calendar specs and cron strings have in common: `*`, `5`, `mon-fri`,
`0-30/10`, `15/20`, and lists of those.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from temporalio.api.schedule.v1 import Range

MAX_YEAR = 2100
"""The last year in which calendars match."""


class InvalidSpec(Exception):
    """A schedule's spec is wrong; the text is the server's."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a calendar and the values it may have."""

    name: str
    default: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    """Names of the values from `low` on; a prefix will do."""
    shortest: int = 0
    """Letters that such a prefix must have."""


_MONTHS = (
    "january february march april may june july august september october november"
    " december"
)
_WEEKDAYS = "sunday monday tuesday wednesday thursday friday saturday"

SECOND = Field("Second", "0", 0, 59)
MINUTE = Field("Minute", "0", 0, 59)
HOUR = Field("Hour", "0", 0, 23)
DAY_OF_MONTH = Field("DayOfMonth", "*", 1, 31)
MONTH = Field("Month", "*", 1, 12, tuple(_MONTHS.split()), 3)
YEAR = Field("Year", "*", 2000, MAX_YEAR)
DAY_OF_WEEK = Field("DayOfWeek", "*", 0, 6, tuple(_WEEKDAYS.split()), 2)

_NUMBER = re.compile(r"[+-]?[0-9]+")
_SUNDAY_TOO = 7
"""Text may call Sunday 7 as well; ranges may not."""


def parse(text: str, field: Field) -> list[Range]:
    """The ranges that `text` names, as short as they can be written.

    Raises:
        InvalidSpec: it is malformed, or names values that the field does not have.
    """
    text = text.strip() or field.default
    if text == "*" and field is YEAR:
        return []  # of all fields, an empty year means every year
    ranges: list[Range] = []
    for part in text.split(","):
        ranges.extend(_parse_part(part, field))
    return ranges


def _parse_part(part: str, field: Field) -> Iterator[Range]:
    high = _SUNDAY_TOO if field is DAY_OF_WEEK else field.high
    values, *steps = part.split("/")
    if len(steps) > 1:
        raise InvalidSpec(f"{field.name} has too many slashes")
    step = _step(steps[0], field) if steps else 1
    first, last = field.low, high
    if values != "*":
        first, last = _bounds(values, field, high)
        if steps and "-" not in values:
            last = high
    if field is DAY_OF_WEEK and last == _SUNDAY_TOO:
        # 1-7 is every day, but 3-7 is Sunday and the days from Wednesday on.
        if (last - first) % step == 0 and (step > 1 or first > 1):
            yield Range(start=0)
            if first == last:
                return
        last -= 1
    yield Range(
        start=first,
        end=0 if first == last else last,
        step=0 if step == 1 else step,
    )


def _step(text: str, field: Field) -> int:
    if not text:
        raise InvalidSpec(f"{field.name} missing step value")
    if not _NUMBER.fullmatch(text):
        raise InvalidSpec(f'strconv.Atoi: parsing "{text}": invalid syntax')
    step = int(text)
    if abs(step) >= 2**63:
        raise InvalidSpec(f'strconv.Atoi: parsing "{text}": value out of range')
    if step < 1:
        raise InvalidSpec(f"{field.name} has invalid Step")
    return min(step, 2**31 - 1)


def _bounds(text: str, field: Field, high: int) -> tuple[int, int]:
    first, *rest = text.split("-")
    if len(rest) > 1:
        raise InvalidSpec(f"{field.name} has too many dashes")
    within = f"not in range [{field.low}-{high}]"
    start = _value(first, field)
    if not rest:
        if start is None or not field.low <= start <= high:
            raise InvalidSpec(f"{field.name} is {within}")
        return start, start
    if start is None or not field.low <= start <= high:
        raise InvalidSpec(f"{field.name} Start is {within}")
    end = _value(rest[0], field)
    if end is None or not start <= end <= high:
        raise InvalidSpec(f"{field.name} End is before Start or {within}")
    return start, end


def _value(text: str, field: Field) -> int | None:
    if field.names and len(text) >= field.shortest:
        for number, name in enumerate(field.names, field.low):
            if name.startswith(text.lower()):
                return number
    return int(text) if _NUMBER.fullmatch(text) else None


def problems(ranges: Iterable[Range], field: Field) -> Iterator[str]:
    """What is wrong with ranges that were given as such."""
    within = f"not in range [{field.low}-{field.high}]"
    for each in ranges:
        if not field.low <= each.start <= field.high:
            yield f"{field.name} Start is {within}"
        if each.end != 0 and not each.start <= each.end <= field.high:
            yield f"{field.name} End is before Start or {within}"
        if each.step < 0:
            yield f"{field.name} has invalid Step"


def fill(ranges: Iterable[Range]) -> None:
    """Write out what ranges leave unsaid: an end before the start, a step of zero."""
    for each in ranges:
        each.end = max(each.end, each.start)
        each.step = each.step or 1


def values(ranges: Sequence[Range], field: Field) -> frozenset[int]:
    """The values of a field that ranges hold; those of an exclusion are not checked."""
    held = [
        range(each.start, max(each.end, each.start) + 1, max(each.step, 1))
        for each in ranges
    ]
    return frozenset(
        value
        for value in range(field.low, field.high + 1)
        if any(value in each for each in held)
    )
