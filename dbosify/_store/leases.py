"""Leases: which worker processes are alive, and who takes over from the dead.

A process renews its lease from a thread of its own, with a connection of its own, so
that neither a busy event loop nor a full pool makes it look dead.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
from psycopg.rows import DictRow, dict_row

from . import statements
from .engine import Database, hang_up

LeaseConnection: TypeAlias = psycopg.Connection[DictRow]
_PATIENCE = 10.0
"""Seconds for an answer; the lease is lost by then, but not a new one."""

LeaseError = psycopg.Error
"""The database could not be asked; the lease goes on running out."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What a process says of itself."""

    executor_id: str
    identity: str
    host: str
    pid: int
    ttl: float
    """Seconds that the lease holds without being renewed."""


def connect(database: Database) -> LeaseConnection:
    """A connection for the lease thread alone."""
    return psycopg.connect(
        database.url.lively_conninfo,
        autocommit=True,
        row_factory=dict_row,
        # Once a second is not often enough to be worth it, and no pooler minds.
        prepare_threshold=None,
    )


def _run(
    connection: LeaseConnection,
    database: Database,
    name: str,
    params: dict[str, Any],
) -> list[DictRow]:
    # This thread waits for nothing else, so another one has to notice.
    watch = threading.Timer(_PATIENCE, hang_up, (connection,))
    watch.daemon = True
    watch.start()
    try:
        cursor = connection.execute(statements.bound(name, database.schema), params)
        return cursor.fetchall() if cursor.description else []
    finally:
        watch.cancel()


def take(connection: LeaseConnection, database: Database, lease: Lease) -> int:
    """Enter the live workers; returns the database's clock in microseconds."""
    rows = _run(
        connection,
        database,
        "take_lease",
        {
            "executor_id": lease.executor_id,
            "identity": lease.identity,
            "host": lease.host,
            "pid": lease.pid,
            "ttl": lease.ttl,
        },
    )
    return int(rows[0]["now_us"])


@dataclass(frozen=True, slots=True)
class Renewed:
    """What is known with a lease that was renewed."""

    now_us: int
    """The database's clock in microseconds."""
    others_died: bool
    """Whether the lease of some other process has run out."""


def renew(
    connection: LeaseConnection, database: Database, lease: Lease
) -> Renewed | None:
    """Renew the lease; None if it was lost."""
    rows = _run(
        connection,
        database,
        "renew_lease",
        {"executor_id": lease.executor_id, "ttl": lease.ttl},
    )
    return Renewed(**rows[0]) if rows else None


def drop(connection: LeaseConnection, database: Database, lease: Lease) -> None:
    """Leave the live workers."""
    _run(connection, database, "drop_lease", {"executor_id": lease.executor_id})


def take_over(connection: LeaseConnection, database: Database) -> list[str]:
    """Queue the runs of the dead; returns the queues that got some."""
    return _queues(_run(connection, database, "take_over", {}))


def take_orphans(connection: LeaseConnection, database: Database) -> list[str]:
    """Queue the runs of processes that left; returns the queues that got some.

    What a process wrote last may be committed after its lease is gone.
    """
    return _queues(_run(connection, database, "take_orphans", {}))


def _queues(rows: list[DictRow]) -> list[str]:
    return sorted({row["queue_name"] for row in rows if row["queue_name"]})
