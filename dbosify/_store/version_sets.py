"""The sets of compatible build ids that task queues were given, one row for a queue."""

from __future__ import annotations

import json
from collections.abc import Collection

from dbosify._model.version_sets import VersionSets

from .engine import Connection, Database, Rows


async def known(
    database: Database, task_queues: Collection[str]
) -> dict[str, VersionSets]:
    """The sets of those queues that have some."""
    rows = await database.fetch(
        "find_version_sets", {"task_queues": list(task_queues), "build_id": None}
    )
    return _by_queue(rows)


async def having(database: Database, build_id: str) -> dict[str, VersionSets]:
    """The sets of all queues that know a build id."""
    rows = await database.fetch(
        "find_version_sets",
        {"task_queues": None, "build_id": json.dumps([[build_id]])},
    )
    return _by_queue(rows)


async def hold(
    database: Database, connection: Connection, task_queue: str
) -> VersionSets:
    """The sets of a queue, held until the transaction ends."""
    rows = await database.run(
        connection, "hold_version_sets", {"task_queue": task_queue}
    )
    return _by_queue(rows)[task_queue]


async def save(
    database: Database, connection: Connection, task_queue: str, sets: VersionSets
) -> None:
    """Change sets that are held."""
    await database.run(
        connection,
        "save_version_sets",
        {"task_queue": task_queue, "sets": json.dumps(sets)},
    )


def _by_queue(rows: Rows) -> dict[str, VersionSets]:
    return {
        row["task_queue"]: tuple(tuple(build_ids) for build_ids in row["sets"])
        for row in rows
    }
