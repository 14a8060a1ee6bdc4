"""The database's time, without asking the database each time.

Every process shows users the database's clock: leases and deadlines are compared there,
and workers whose own clocks disagree must not write histories that run backwards.
"""

from __future__ import annotations

import time

from dbosify._model import clock
from dbosify._model.protos import Timestamp

_LOOK = 0.02
"""Seconds between looks at a clock that can be set ahead."""


class DatabaseClock:
    """This process's clock, corrected by what the database last said."""

    def __init__(self) -> None:
        self.virtual = False
        """Whether it can be set ahead; then no wait may trust in its pace."""
        self._offset: int | None = None
        self._last = 0

    def adjust(self, database_us: int, asked_ns: int) -> None:
        """Learn the offset, or that the one known still holds.

        Args:
            database_us: the database's answer, microseconds since 1970.
            asked_ns: this process's time when it asked, nanoseconds.
        """
        told = database_us * 1000
        answered_ns = time.time_ns()
        # The database read its clock between the two. A slow answer tells little: to
        # follow each would let this clock waver by half of what the slowest one took.
        if self._offset is None or not (
            told - answered_ns <= self._offset <= told - asked_ns
        ):
            self._offset = told - (asked_ns + answered_ns) // 2

    def nanoseconds(self) -> int:
        """Nanoseconds since 1970, in whole microseconds: Postgres keeps no more."""
        # A new offset must not make time run backwards: timers would fire early.
        now = (time.time_ns() + (self._offset or 0)) // 1000 * 1000
        self._last = max(self._last, now)
        return self._last

    def seconds(self) -> float:
        """Seconds since 1970."""
        return self.nanoseconds() / 1e9

    def now(self) -> Timestamp:
        """The moment, as events carry it."""
        return clock.timestamp(self.nanoseconds())

    def wait_for(self, moment: float) -> float:
        """Seconds to wait before looking whether `moment` has come."""
        delay = max(moment - self.seconds(), 0.0)
        return min(delay, _LOOK) if self.virtual else delay
