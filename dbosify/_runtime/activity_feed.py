"""The one poll of the SDK for activity tasks, and the several who have some.

Queued and eager activities come from one side of a worker, local ones from another. The
poll ends when all of them have nothing more to say.
"""

from __future__ import annotations

import asyncio

from dbosify._model.protos import ActivityTask


class ActivityFeed:
    """See the module's text.

    Args:
        sources: how many will close it.
    """

    def __init__(self, sources: int) -> None:
        self._open = sources
        self._tasks: asyncio.Queue[ActivityTask | None] = asyncio.Queue()

    def put(self, task: ActivityTask) -> None:
        """Hand a task to the SDK."""
        self._tasks.put_nowait(task)

    def close(self) -> None:
        """One of the sources is done; each says so once."""
        self._open -= 1
        if self._open == 0:
            self._tasks.put_nowait(None)

    async def next(self) -> ActivityTask | None:
        """The next task, or None when all is over."""
        task = await self._tasks.get()
        if task is None:
            self._tasks.put_nowait(None)
        return task
