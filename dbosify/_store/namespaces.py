"""Namespaces as rows: each is alone in a schema of its own, so a list asks them all."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from temporalio.api.workflowservice.v1 import DescribeNamespaceResponse

from .engine import Connection, Database
from .url import schema_of_namespace

DROPPED = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InvalidSchemaName,
)
"""What a statement fails with when its namespace has been deleted."""

MAY_NOT = psycopg.errors.InsufficientPrivilege
"""The role lacks a right."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace, and what it is registered as."""

    name: str
    id: str
    registered: DescribeNamespaceResponse | None
    """None for one that a connection created."""


def _namespace(row: dict[str, Any]) -> Namespace:
    kept = row["registered"]
    registered = None if kept is None else DescribeNamespaceResponse.FromString(kept)
    return Namespace(row["name"], row["id"], registered)


async def every(database: Database) -> list[Namespace]:
    """All namespaces of the database, in the order of their ids."""
    found = []
    for row in await database.fetch("namespace_schemas", {}):
        # One that is being deleted is no namespace any more.
        with suppress(*DROPPED):
            found.append(await find(database.in_schema(row["name"])))
    return sorted(found, key=lambda namespace: namespace.id)


async def find(database: Database) -> Namespace:
    """The namespace of this database's schema."""
    return _namespace((await database.fetch("find_namespace", {}))[0])


async def hold(connection: Connection, database: Database) -> Namespace:
    """The namespace of this schema, held until the transaction ends."""
    return _namespace((await database.run(connection, "lock_namespace", {}))[0])


async def save(
    connection: Connection, database: Database, registered: DescribeNamespaceResponse
) -> None:
    """Change what a namespace that is held is registered as."""
    params = {"registered": registered.SerializeToString()}
    await database.run(connection, "save_namespace", params)


async def drop(database: Database, name: str) -> None:
    """Delete a namespace with all its runs.

    Raises:
        DROPPED: it was deleted already.
        MAY_NOT: the role is not the schema's owner.
    """
    await database.in_schema(schema_of_namespace(name)).fetch("drop_namespace", {})
