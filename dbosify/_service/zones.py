"""The time zone of a schedule's spec: by name, or by the data that came with it."""

from __future__ import annotations

import io
from datetime import timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from temporalio.api.schedule.v1 import ScheduleSpec

from dbosify._model.schedules.ranges import InvalidSpec

_OWN_NAMES = {"": timezone.utc, "UTC": timezone.utc, "Local": timezone.utc}
"""A server may run anywhere, so its local time says nothing; Temporal's use UTC."""


def zone_of(spec: ScheduleSpec) -> tzinfo:
    """The zone in which the spec's calendars are meant.

    Raises:
        InvalidSpec: there is no such zone.
    """
    if spec.timezone_data:
        try:
            return ZoneInfo.from_file(io.BytesIO(spec.timezone_data))
        except (ValueError, EOFError):
            raise InvalidSpec("malformed time zone information") from None
    return _named(spec.timezone_name)


@lru_cache(maxsize=1000)
def _named(name: str) -> tzinfo:
    if name in _OWN_NAMES:
        return _OWN_NAMES[name]
    if ".." in name or name.startswith(("/", "\\")):
        raise InvalidSpec("time: invalid location name")
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidSpec(f"unknown time zone {name}") from None
