"""Reads that are wanted at the same time, as one query.

While one query is on its way the next keys gather; a process with nothing on its way
asks at once. What is asked for while a query runs waits for the next one, since the
running one may not see what the asker was hinted about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Gathering(Generic[T]):
    """The one reader of something, on one event loop.

    Args:
        read: reads many keys; those that do not exist are missing in its answer.
        at_once: the most keys in one query; 0 for all that gathered.
    """

    def __init__(
        self,
        read: Callable[[Sequence[str]], Awaitable[Mapping[str, T]]],
        *,
        at_once: int = 0,
    ) -> None:
        self._read = read
        self._at_once = at_once
        self._wanted: dict[str, asyncio.Future[T | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: str) -> T | None:
        """Read one key, with whatever else is wanted.

        Returns:
            None if it does not exist.
        """
        wanted = self._wanted.get(key)
        if wanted is None:
            wanted = asyncio.get_running_loop().create_future()
            self._wanted[key] = wanted
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_all())
        return await asyncio.shield(wanted)

    async def _read_all(self) -> None:
        while self._wanted:
            wanted = self._next()
            try:
                found = await self._read(list(wanted))
            except BaseException as error:
                for future in wanted.values():
                    _give_up(future, error)
                if not isinstance(error, Exception):
                    raise
                continue
            for key, future in wanted.items():
                if not future.done():
                    future.set_result(found.get(key))

    def _next(self) -> dict[str, asyncio.Future[T | None]]:
        if not 0 < self._at_once < len(self._wanted):
            wanted, self._wanted = self._wanted, {}
            return wanted
        first = list(self._wanted)[: self._at_once]
        return {key: self._wanted.pop(key) for key in first}


def _give_up(future: asyncio.Future[T | None], error: BaseException) -> None:
    if future.done():
        return
    if isinstance(error, asyncio.CancelledError):
        future.cancel()
    else:
        future.set_exception(error)
        # Whoever asked may have gone by now, and nobody else is to hear of it.
        future.exception()
