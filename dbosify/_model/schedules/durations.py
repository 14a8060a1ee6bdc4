"""Durations as Go writes them (`1h30m`, `2.5s`), with days besides.

They stand in cron strings: `@every 1d/6h`.
"""

from __future__ import annotations

import re
from fractions import Fraction

from .ranges import InvalidSpec

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([^0-9.]*)")


def parse(text: str) -> int:
    """A duration in nanoseconds.

    Raises:
        InvalidSpec: it is none.
    """
    sign, digits = 1, text
    if text[:1] in ("+", "-"):
        sign, digits = (-1 if text[0] == "-" else 1), text[1:]
    if digits == "0":
        return 0
    total = Fraction(0)
    at = 0
    while at < len(digits) or not digits:
        part = _PART.match(digits, at)
        if part is None:
            raise InvalidSpec(f'time: invalid duration "{text}"')
        number, unit = part.groups()
        if not unit:
            raise InvalidSpec(f'time: missing unit in duration "{text}"')
        if unit not in _NANOSECONDS:
            raise InvalidSpec(f'time: unknown unit "{unit}" in duration "{text}"')
        total += (
            Fraction(number if number[-1] != "." else number[:-1])
            * (_NANOSECONDS[unit])
        )
        at = part.end()
    return sign * int(total)
