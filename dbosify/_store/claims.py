"""Who works on a run: claimed by a process, given up, found to be a stray.

A claim is a token in the run's status row; each write of its owner compares it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .engine import Database, Rows


@dataclass(frozen=True, slots=True)
class Owner:
    """Who starts or claims a run."""

    executor_id: str
    """The process."""
    token: str
    """Fences the run's turns."""
    queue: str
    """The queue whose worker it is for: a task queue's, or a version's in it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that this process owns now."""

    workflow_uuid: str
    workflow_id: str
    run_id: str
    token: str
    task_attempt: int


async def claim(database: Database, owner: Owner, limit: int) -> list[Claim]:
    """Take up to `limit` queued runs of the owner's queue."""
    rows = await database.fetch(
        "claim_runs",
        {
            "queue": owner.queue,
            "limit": limit,
            "token": owner.token,
            "executor_id": owner.executor_id,
        },
    )
    return _claims(rows, owner)


async def claim_one(
    database: Database, workflow_uuid: str, owner: Owner
) -> Claim | None:
    """Take one run that nobody owns."""
    rows = await database.fetch(
        "claim_run",
        {
            "workflow_uuid": workflow_uuid,
            "queue": owner.queue,
            "token": owner.token,
            "executor_id": owner.executor_id,
        },
    )
    return _claims(rows, owner)[0] if rows else None


def _claims(rows: Rows, owner: Owner) -> list[Claim]:
    return [
        Claim(
            row["workflow_uuid"],
            row["workflow_id"],
            row["run_id"],
            owner.token,
            row["task_attempt"],
        )
        for row in rows
    ]


STRAY_AFTER_MS = 5_000
"""Age of a claim after which whoever made it must know of it."""


async def disown_strays(
    database: Database, queue: str, executor_id: str, known: Sequence[str]
) -> int:
    """Queue runs that are this process's by name only; returns how many."""
    rows = await database.fetch(
        "disown_strays",
        {
            "queue": queue,
            "executor_id": executor_id,
            "known": list(known),
            "grace_ms": STRAY_AFTER_MS,
        },
    )
    return len(rows)


async def check(
    database: Database, workflow_uuids: Sequence[str]
) -> dict[str, tuple[int, str | None]]:
    """How many messages runs were sent, and who owns them."""
    rows = await database.fetch("check_runs", {"workflow_uuids": list(workflow_uuids)})
    return {row["workflow_uuid"]: (row["inbox"], row["owner_xid"]) for row in rows}


@dataclass(frozen=True, slots=True)
class Release:
    """A run given up: parked until `wake_at` (milliseconds), or queued if None."""

    workflow_uuid: str
    token: str
    wake_at: int | None
    inbox: int


PARKED_FOR_EVER = 2**62
"""A wake-up time for runs that only a message can wake."""


async def release(database: Database, releases: Sequence[Release]) -> Rows:
    """Give runs up, each in its own right; those lost already are left alone."""
    if not releases:
        return []
    return await database.fetch(
        "release_runs",
        {
            "uuids": [row.workflow_uuid for row in releases],
            "tokens": [row.token for row in releases],
            "wake_at": [row.wake_at for row in releases],
            "inboxes": [row.inbox for row in releases],
        },
    )
