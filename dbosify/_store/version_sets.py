"""The sets of compatible build ids of task queues."""

from __future__ import annotations

from collections.abc import Collection

from psycopg.types.json import Jsonb

from dbosify._model.version_sets import Sets

from .engine import Connection, Database


async def hold(connection: Connection, database: Database, task_queue: str) -> Sets:
    """The sets of a task queue, held until the transaction ends."""
    rows = await database.run(
        connection, "hold_version_sets", {"task_queue": task_queue}
    )
    sets: Sets = rows[0]["sets"]
    return sets


async def save(
    connection: Connection, database: Database, task_queue: str, sets: Sets
) -> None:
    """Change the sets of a task queue that are held."""
    params = {"task_queue": task_queue, "sets": Jsonb(sets)}
    await database.run(connection, "save_version_sets", params)


async def of_queues(
    database: Database, task_queues: Collection[str] | None
) -> dict[str, Sets]:
    """The sets of some task queues, or of all that have any."""
    asked = None if task_queues is None else list(task_queues)
    rows = await database.fetch("list_version_sets", {"task_queues": asked})
    return {row["task_queue"]: row["sets"] for row in rows if row["sets"]}
