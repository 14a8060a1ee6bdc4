"""Who works on a run: claimed by a process, given up, found to be a stray.

A claim is a token in the run's status row; each write of its owner compares it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .engine import Database, Rows

_TURN = 0.02
"""Seconds in which the others hear of a burst and ask for their shares."""


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
    expires_at: float | None
    """When its time is up, seconds since 1970."""

    def out_of_time(self, now: float) -> bool:
        """Whether its time is up, so that nothing but its end may come."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Share:
    """What a process takes of a queue at once, so that a burst is not all its own."""

    limit: int
    processes: int
    """Those that serve the queue, this one among them."""

    @property
    def turn_of_others(self) -> float:
        """Seconds to leave to the others before the next share."""
        return _TURN if self.processes > 1 else 0.0

    def leaves_some(self, rows: Rows) -> bool:
        """Whether there may be more to take than these rows."""
        if self.processes > 1:
            return bool(rows) and rows[0]["waiting"] > len(rows)
        return len(rows) == self.limit


async def claim(
    database: Database, owner: Owner, share: Share
) -> tuple[list[Claim], bool]:
    """Take a share of the queued runs of the owner's queue; tell if some are left."""
    rows = await database.fetch(
        "claim_runs",
        {
            "queue": owner.queue,
            "limit": share.limit,
            "processes": share.processes,
            "token": owner.token,
            "executor_id": owner.executor_id,
        },
    )
    return _claims(rows, owner), share.leaves_some(rows)


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
            None if row["expires_at"] is None else row["expires_at"].timestamp(),
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
