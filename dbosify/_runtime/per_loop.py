"""One of something for each event loop, forgotten when the loop has ended.

Connections and tasks belong to the loop that made them, and a process may have workers
and clients on several.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """See the module's text.

    Args:
        make: called on a loop that has none yet.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[asyncio.AbstractEventLoop, T] = {}

    def here(self) -> T:
        """The running loop's."""
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            for ended in [old for old in self._made if old.is_closed()]:
                del self._made[ended]
            self._made[loop] = self._make()
        return self._made[loop]

    def known(self) -> T | None:
        """The running loop's, if it has one."""
        return self._made.get(asyncio.get_running_loop())

    def forget(self) -> None:
        """The running loop's is at its end: whoever asks next gets a new one."""
        self._made.pop(asyncio.get_running_loop(), None)
