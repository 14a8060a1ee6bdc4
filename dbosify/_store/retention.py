"""What a namespace has kept long enough: closed runs, and what clients started alone.

Each is deleted in a transaction of its own, which waits for nobody long and breaks off
without harm. Several processes may do it at once: what is gone is deleted by nobody.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from . import runs, standalone, standalone_operations
from .engine import Connection, Database


class Kind(enum.Enum):
    """What is kept for a while after its end."""

    RUN = "run"
    ACTIVITY = "activity"
    OPERATION = "operation"


@dataclass(frozen=True, slots=True)
class Overdue:
    """One thing that was closed too long ago.

    Attributes:
        kind: of the thing.
        key: of its row.
    """

    kind: Kind
    key: str


async def overdue(
    database: Database, *, seconds: float, limit: int
) -> Sequence[Overdue]:
    """What was closed more than so many seconds ago, the oldest first.

    Args:
        database: of the namespace.
        seconds: for which it keeps what is closed.
        limit: of each kind.
    """
    rows = await database.fetch("past_retention", {"seconds": seconds, "limit": limit})
    return [Overdue(Kind(row["kind"]), row["id"]) for row in rows]


async def delete(database: Database, one: Overdue) -> None:
    """Delete it, with all that any table knows of it."""
    async with database.transaction() as connection:
        await _delete_in(connection, database, one)


async def _delete_in(connection: Connection, database: Database, one: Overdue) -> None:
    match one.kind:
        case Kind.RUN:
            await database.run(connection, "lock_run", {"workflow_uuid": one.key})
            await runs.delete(connection, database, one.key)
        case Kind.ACTIVITY:
            call = standalone.delete(one.key)
            await database.run(connection, call.name, call.params)
        case Kind.OPERATION:
            await standalone_operations.delete(connection, database, one.key)
