"""How many tasks may begin in a second, in this worker."""

from __future__ import annotations

from collections.abc import Callable

_BURST = 0.05
"""Seconds of the rate that may begin at once."""


class Rate:
    """A bucket that fills steadily.

    Args:
        per_second: tasks, more than zero.
        clock: seconds that only grow.
    """

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._size = max(1.0, per_second * _BURST)
        self._clock = clock
        self._full = self._size
        self._at = clock()

    def allowed(self) -> int:
        """Tasks that may begin now."""
        now = self._clock()
        self._full = min(self._size, self._full + (now - self._at) * self._per_second)
        self._at = now
        return int(self._full)

    def begin(self, tasks: int = 1) -> None:
        """So many begin."""
        self._full -= tasks

    def wait(self) -> float:
        """Seconds until one more may begin."""
        return max(0.0, (1.0 - self._full) / self._per_second)
