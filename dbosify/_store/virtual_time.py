"""The clock of a test's database, which can be set ahead.

It is the same `dbosify_now()` that all statements ask, so deadlines, back-offs and
schedules follow it. Leases don't: whoever holds one lives in real time.
"""

from __future__ import annotations

from psycopg import sql

from .engine import Database

_FUNCTION = """
CREATE OR REPLACE FUNCTION {schema}.dbosify_now()
RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN clock_timestamp() + (SELECT ahead FROM {schema}.dbosify_virtual_time)
"""
"""Not a statement file: it is no statement that Postgres could prepare."""


async def begin(database: Database) -> None:
    """Make a database's clock one that can be set ahead."""
    async with database.transaction() as connection:
        await database.run(connection, "begin_virtual_time", {})
        await connection.execute(
            sql.SQL(_FUNCTION).format(schema=sql.Identifier(database.schema))
        )


async def skip(
    database: Database, *, until: float | None, despite_activities: bool
) -> int | None:
    """Set the clock ahead to the next moment at which anything is due.

    Args:
        database: of the namespace.
        until: no further than this, in seconds since 1970; if nothing is due before
            it, to this very moment.
        despite_activities: also while activities are queued or running. Nothing is
            skipped while a workflow task is.

    Returns:
        The new time, microseconds since 1970; None if nothing was skipped.
    """
    rows = await database.fetch(
        "skip_time", {"until": until, "despite_activities": despite_activities}
    )
    return rows[0]["now_us"] if rows else None
