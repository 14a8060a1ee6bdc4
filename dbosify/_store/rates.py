"""How fast the activities of a task queue may begin, in all workers together.

A queue's row is a bucket that the workers with `max_task_queue_activities_per_second`
share. It says when the bucket is full again, so nobody has to fill it.
"""

from __future__ import annotations

from .engine import Database

_BURST = 0.05
"""Seconds of the rate that may begin at once."""


async def allow(
    database: Database, task_queue: str, rate: float, *, limit: int, now: float
) -> tuple[int, float]:
    """Let up to `limit` activities begin.

    Args:
        database: of the namespace.
        task_queue: whose activities they are.
        rate: activities in a second.
        limit: how many are wanted.
        now: seconds since 1970, by the database's clock.

    Returns:
        How many may begin, and the seconds until one more may.
    """
    burst = max(1.0, rate * _BURST)
    rows = await database.fetch(
        "allow_activities",
        {
            "task_queue": task_queue,
            "rate": rate,
            "burst": burst,
            "limit": limit,
            "now": now,
        },
    )
    [row] = rows
    wait = row["full_at"] - now - (burst - 1) / rate
    return int(row["allowed"]), max(0.0, wait)


async def disallow(
    database: Database, task_queue: str, rate: float, *, tasks: int
) -> None:
    """Take back what `allow` let begin and was not there."""
    await database.fetch(
        "disallow_activities", {"task_queue": task_queue, "rate": rate, "tasks": tasks}
    )
