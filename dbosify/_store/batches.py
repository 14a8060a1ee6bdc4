"""Batch operations in the database: begun, taken up, stopped, listed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from temporalio.api.workflowservice.v1 import StartBatchOperationRequest

from .engine import Connection, Database, Rows

RUNNING, COMPLETED, FAILED = 1, 2, 3
"""States, as the API numbers them."""

Target = tuple[str, str]
"""A workflow id, and a run id or nothing for the latest."""


@dataclass(slots=True)
class Batch:
    """A batch operation that somebody works at."""

    job_id: str
    request: StartBatchOperationRequest
    targets: list[Target] | None
    """None as long as nobody has asked the query."""
    position: int
    failures: int
    state: int = RUNNING
    asked: bool = field(default=False)
    """Whether the targets were just found."""


async def create(
    database: Database,
    request: StartBatchOperationRequest,
    targets: Sequence[Target] | None,
) -> bool:
    """Begin a batch operation; False if there is one of its name."""
    rows = await database.fetch(
        "create_batch",
        {
            "job_id": request.job_id,
            "request": request.SerializeToString(),
            "targets": None if targets is None else json.dumps(targets),
        },
    )
    return bool(rows)


async def due(connection: Connection, database: Database) -> Batch | None:
    """Lock a batch operation that is not over."""
    rows = await database.run(connection, "due_batch", {})
    if not rows:
        return None
    (row,) = rows
    targets = row["targets"]
    return Batch(
        row["job_id"],
        StartBatchOperationRequest.FromString(row["request"]),
        None if targets is None else [(target[0], target[1]) for target in targets],
        row["position"],
        row["failures"],
    )


async def save(connection: Connection, database: Database, batch: Batch) -> None:
    """Note how far it is."""
    await database.run(
        connection,
        "save_batch",
        {
            "job_id": batch.job_id,
            "targets": json.dumps(batch.targets) if batch.asked else None,
            "position": batch.position,
            "failures": batch.failures,
            "state": batch.state,
        },
    )


async def stop(database: Database, job_id: str) -> bool | None:
    """Stop a batch operation; False if it is over, None if there is none."""
    rows = await database.fetch("stop_batch", {"job_id": job_id})
    return bool(rows[0]["stopped"]) if rows else None


async def find(database: Database, job_id: str) -> dict[str, Any] | None:
    """A batch operation by its name."""
    rows = await database.fetch("find_batch", {"job_id": job_id})
    return rows[0] if rows else None


async def listed(
    database: Database, before: tuple[datetime, str] | None, limit: int
) -> Rows:
    """Batch operations, the latest first, after the one of `before`."""
    moment, job_id = before if before is not None else (None, "")
    return await database.fetch(
        "list_batches", {"before": moment, "job_id": job_id, "limit": limit}
    )
