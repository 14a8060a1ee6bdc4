"""Nexus in the database: endpoints, and operations that are not over.

An operation's row is changed only under its lock, in the transaction that tells its
caller; a call of its handler is a token in it, which the answer must show. The row is
locked before the caller's run is, always.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from temporalio.api.nexus.v1 import Endpoint

from dbosify._model.nexus import SYSTEM_ENDPOINT, NexusOperation
from dbosify._model.protos import HistoryEvent, PendingNexusOperationInfo

from .engine import Connection, Database

# Endpoints.


def _row_of(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "endpoint_id": endpoint.id,
        "name": endpoint.spec.name,
        "version": endpoint.version,
        "task_queue": endpoint.spec.target.worker.task_queue,
        "endpoint": endpoint.SerializeToString(),
    }


async def create_endpoint(database: Database, endpoint: Endpoint) -> bool:
    """Add an endpoint; False if its name is taken."""
    return bool(await database.fetch("create_nexus_endpoint", _row_of(endpoint)))


async def hold_endpoint(
    connection: Connection, database: Database, endpoint_id: str
) -> Endpoint | None:
    """An endpoint, held until the transaction ends."""
    rows = await database.run(
        connection, "find_nexus_endpoint", {"endpoint_id": endpoint_id}
    )
    return Endpoint.FromString(rows[0]["endpoint"]) if rows else None


async def save_endpoint(
    connection: Connection, database: Database, endpoint: Endpoint
) -> bool:
    """Change an endpoint that is held; False if its new name is taken."""
    rows = await database.run(connection, "save_nexus_endpoint", _row_of(endpoint))
    return bool(rows)


async def drop_endpoint(database: Database, endpoint_id: str) -> bool:
    """Remove an endpoint; False if there is none."""
    return bool(
        await database.fetch("drop_nexus_endpoint", {"endpoint_id": endpoint_id})
    )


async def list_endpoints(
    database: Database, *, name: str, after: str, limit: int
) -> list[Endpoint]:
    """Endpoints in the order of their ids.

    Args:
        database: of the namespace.
        name: of the only one that is wanted, or empty.
        after: the id after which to begin.
        limit: how many, at most.
    """
    rows = await database.fetch(
        "list_nexus_endpoints", {"name": name, "after": after, "limit": limit}
    )
    return [Endpoint.FromString(row["endpoint"]) for row in rows]


async def endpoint_ids(database: Database, names: Iterable[str]) -> dict[str, str]:
    """The ids of the endpoints that there are, of those named."""
    possible = sorted(name for name in names if "\0" not in name)
    rows = await database.fetch("nexus_endpoint_ids", {"names": possible})
    known = {row["name"]: row["endpoint_id"] for row in rows}
    if SYSTEM_ENDPOINT in possible:
        known[SYSTEM_ENDPOINT] = ""
    return known


# Operations.


def _operation(row: dict[str, Any]) -> NexusOperation:
    cancel = row["cancel"]
    return NexusOperation(
        workflow_uuid=row["workflow_uuid"],
        task_queue=row["task_queue"],
        scheduled=HistoryEvent.FromString(row["scheduled"]),
        info=PendingNexusOperationInfo.FromString(row["info"]),
        cancel=None if cancel is None else HistoryEvent.FromString(cancel),
        due_at=row["due_s"],
        call=row["call"],
    )


def _state(operation: NexusOperation) -> dict[str, Any]:
    cancel = operation.cancel
    return {
        "key": operation.key,
        "info": operation.info.SerializeToString(),
        "cancel": None if cancel is None else cancel.SerializeToString(),
        "call": operation.call,
        "due_at": operation.due_at,
        "expires_at": operation.expires_at,
    }


async def ask(
    connection: Connection, database: Database, operation: NexusOperation
) -> None:
    """Add an operation."""
    await database.run(
        connection,
        "ask_nexus_operation",
        {
            **_state(operation),
            "workflow_uuid": operation.workflow_uuid,
            "task_queue": operation.task_queue,
            "scheduled": operation.scheduled.SerializeToString(),
        },
    )


async def call(
    database: Database, task_queue: str, token: str, *, seconds: float, limit: int
) -> list[tuple[NexusOperation, bool]]:
    """Take operations whose handlers have to be called.

    Args:
        database: of the namespace.
        task_queue: of the handlers.
        token: what the tokens of the calls begin with; new each time.
        seconds: how long nobody else calls them.
        limit: how many, at most.

    Returns:
        Each with whether the call before this one was never answered.
    """
    rows = await database.fetch(
        "call_nexus_operations",
        {"task_queue": task_queue, "call": token, "seconds": seconds, "limit": limit},
    )
    return [(_operation(row), row["unanswered"] is not None) for row in rows]


async def lock(
    connection: Connection, database: Database, key: str
) -> NexusOperation | None:
    """Hold an operation; None if it is over."""
    rows = await database.run(connection, "lock_nexus_operation", {"key": key})
    return _operation(rows[0]) if rows else None


async def save(
    connection: Connection, database: Database, operation: NexusOperation
) -> None:
    """Store an operation that is held."""
    await database.run(connection, "save_nexus_operation", _state(operation))


async def drop(connection: Connection, database: Database, key: str) -> None:
    """Forget an operation that is over."""
    await database.run(connection, "drop_nexus_operation", {"key": key})


async def expired(database: Database) -> Sequence[str]:
    """The names of operations that are out of time."""
    rows = await database.fetch("expired_nexus_operations", {})
    return [row["operation_key"] for row in rows]


async def of_run(database: Database, workflow_uuid: str) -> list[NexusOperation]:
    """The operations of a run that are not over."""
    rows = await database.fetch(
        "load_nexus_operations", {"workflow_uuid": workflow_uuid}
    )
    return [_operation(row) for row in rows]
