"""The table of side effects: what activities did to the world outside of dbosify.

Each row is written in a transaction of its own on a connection of its own, so that it
stands whatever becomes of the worker right after.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

_CREATE = """
CREATE TABLE IF NOT EXISTS kill_recover_effects (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  workflow_id text NOT NULL,
  run_id text NOT NULL,
  activity_id text NOT NULL,
  attempt integer NOT NULL,
  detail text NOT NULL,
  pid integer NOT NULL
)
"""

_INSERT = """
INSERT INTO kill_recover_effects
  (workflow_id, run_id, activity_id, attempt, detail, pid)
VALUES
  (%(workflow_id)s, %(run_id)s, %(activity_id)s, %(attempt)s, %(detail)s, %(pid)s)
"""

_SELECT = """
SELECT workflow_id, run_id, activity_id, attempt, detail, pid
FROM kill_recover_effects
WHERE workflow_id = %(workflow_id)s
   OR %(beginning)s AND starts_with(workflow_id, %(workflow_id)s)
ORDER BY number
"""


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that an activity's attempt did.

    Attributes:
        workflow_id: Whose activity it was.
        run_id: Likewise.
        activity_id: Which one.
        attempt: At which attempt.
        detail: What it did, in a word.
        pid: Of the worker process.
    """

    workflow_id: str
    run_id: str
    activity_id: str
    attempt: int
    detail: str
    pid: int


def create_table(url: str) -> None:
    """Make the table, if it is not there."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_CREATE)


async def write(url: str, effect: Effect) -> None:
    """Do it."""
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with connection:
        values = {name: getattr(effect, name) for name in Effect.__slots__}
        await connection.execute(_INSERT, values)


async def read(url: str, workflow_id: str, *, beginning: bool = False) -> list[Effect]:
    """All that the activities of a workflow id did, in order.

    Args:
        url: Of the database.
        workflow_id: Whose activities.
        beginning: Those of all ids that begin so.
    """
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with connection, connection.cursor(row_factory=class_row(Effect)) as cursor:
        values = {"workflow_id": workflow_id, "beginning": beginning}
        await cursor.execute(_SELECT, values)
        return await cursor.fetchall()
