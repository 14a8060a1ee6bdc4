"""The custom search attributes that a namespace knows, each with its type.

Nothing is cached: what was registered counts for the very next request, in whichever
process, and only those who use custom attributes ask.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dbosify._model.search_attributes import custom_names

from .engine import Connection, Database


async def known(database: Database) -> dict[str, str]:
    """All of them, with their types."""
    rows = await database.fetch("list_search_attributes", {"names": None})
    return {row["name"]: row["type"] for row in rows}


async def known_among(
    database: Database, names: Collection[str], connection: Connection | None = None
) -> dict[str, str]:
    """Those of `names` that are registered; asks only if one could be."""
    wanted = [name for name in custom_names(names) if "\0" not in name]
    if not wanted:
        return {}
    params = {"names": wanted}
    if connection is None:
        rows = await database.fetch("list_search_attributes", params)
    else:
        rows = await database.run(connection, "list_search_attributes", params)
    return {row["name"]: row["type"] for row in rows}


async def lock(database: Database, connection: Connection) -> dict[str, str]:
    """Keep others from registering; all attributes that there are."""
    await database.run(connection, "lock_search_attributes", {})
    rows = await database.run(connection, "list_search_attributes", {"names": None})
    return {row["name"]: row["type"] for row in rows}


async def add(
    database: Database, connection: Connection, wanted: Mapping[str, str]
) -> None:
    """Register attributes, in the transaction that holds the lock."""
    await database.run(
        connection,
        "add_search_attributes",
        {"names": list(wanted), "types": list(wanted.values())},
    )


async def remove(database: Database, names: Collection[str]) -> None:
    """Forget attributes."""
    await database.fetch("remove_search_attributes", {"names": list(names)})
