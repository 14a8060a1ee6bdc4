"""What is due in a namespace, asked in one statement for all kinds of work.

A worker process with nothing to do costs the database this one question a second; only
the kinds that it names are looked at closer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dbosify._model.routes import Routes

from . import routing
from .engine import Database

_AT_ONCE = 500
"""Parked runs that one statement queues, so that it holds few locks for long."""


@dataclass(frozen=True, slots=True)
class Due:
    """What there is to do; moments are seconds since 1970 by the database's clock."""

    now: float
    """When it was asked."""
    parked_until: float | None
    """The moment of the parked run or activity that is the next to wake up."""
    schedule_at: float | None
    """The moment of the next schedule."""
    schedules_await: bool
    """Whether starts of schedules wait until actions end."""
    runs: bool
    """Whether an open run is out of time."""
    outbox: bool
    """Whether an entry of the outbox is overdue."""
    nexus: bool
    """Whether a Nexus operation is out of time."""
    activities: bool
    """Whether an activity is overdue or lost its worker."""
    batches: bool
    """Whether a batch operation is not over."""
    queued: Sequence[str]
    """Queues, of those asked for, from which something can be claimed."""
    queried: Sequence[str]
    """Task queues that have queries."""
    called: Sequence[str]
    """Task queues that have Nexus operations to be called."""
    rates: Mapping[str, float]
    """Activities that may begin in a second, for task queues where operators say so."""
    servers: Mapping[str, int]
    """Processes that are alive and serve a task queue."""
    routes: Routes
    """Of those queues that have any."""


async def look(database: Database, queues: Sequence[str]) -> Due:
    """Ask what is due, and which of some queues have anything to claim."""
    [row] = await database.fetch("what_is_due", {"queues": list(queues)})
    return Due(**row | {"routes": routing.of_rows(row["routes"])})


async def wake_parked(database: Database) -> set[str]:
    """Queue what is parked and due; returns the queues that got some."""
    queues: set[str] = set()
    while True:
        woken = await database.fetch("wake_parked", {"limit": _AT_ONCE})
        queues.update(row["queue_name"] for row in woken)
        if len(woken) < _AT_ONCE:
            return queues
