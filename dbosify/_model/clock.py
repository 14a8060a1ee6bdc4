"""Conversions between protobuf times and numbers.

The core never reads a clock: every time reaches it as an argument, a `Timestamp`
where Temporal shows it to users, or seconds since 1970 where it is only compared.
"""

from __future__ import annotations

from .protos import Duration, Timestamp

_NANOS = 1_000_000_000
_LAST = 2**63 - 1
FAR = 200_000_000_000.0
"""Seconds since 1970 that nobody waits for, and that every database can tell."""
_END_OF_TIME = 253_402_300_799 * _NANOS
"""The last second that protobuf takes for a valid time."""


def timestamp(nanoseconds: int) -> Timestamp:
    """The `Timestamp` of `nanoseconds` since 1970, or the nearest that there is."""
    return Timestamp(seconds=_whole(nanoseconds), nanos=nanoseconds % _NANOS)


def _whole(nanoseconds: int) -> int:
    """Whole seconds, as far as protobuf's integers go."""
    return max(-_LAST, min(nanoseconds // _NANOS, _LAST))


def of_seconds(value: float) -> Timestamp:
    """The `Timestamp` of a time that was kept as a float: exact to microseconds."""
    return timestamp(round(value * 1e6) * 1000)


def nanoseconds(value: Timestamp) -> int:
    """The inverse of `timestamp`."""
    return value.seconds * _NANOS + value.nanos


def seconds(value: Timestamp | Duration) -> float:
    """A timestamp as seconds since 1970, or a duration as seconds."""
    return value.seconds + value.nanos / _NANOS


def milliseconds(value: Timestamp) -> int:
    """A timestamp as whole milliseconds since 1970, as DBOS stores times."""
    return value.seconds * 1000 + value.nanos // 1_000_000


def duration(value: float) -> Duration:
    """The `Duration` of `value` seconds, rounded to nanoseconds."""
    return duration_of(round(value * _NANOS))


def duration_of(nanoseconds: int) -> Duration:
    """The `Duration` of so many nanoseconds, or the nearest that there is.

    Of less than none, both parts are: unlike a `Timestamp`, a `Duration` has one sign.
    """
    sign = -1 if nanoseconds < 0 else 1
    whole, rest = _whole(abs(nanoseconds)), abs(nanoseconds) % _NANOS
    return Duration(seconds=sign * whole, nanos=sign * rest)


def duration_nanoseconds(value: Duration) -> int:
    """The inverse of `duration_of`."""
    return value.seconds * _NANOS + value.nanos


def later(start: Timestamp, delay: Duration) -> Timestamp:
    """The moment `delay` after `start`, or the nearest that there is."""
    moment = nanoseconds(start) + duration_nanoseconds(delay)
    return timestamp(min(moment, _END_OF_TIME))
