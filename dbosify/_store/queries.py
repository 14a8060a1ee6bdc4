"""Queries between processes: a mailbox that is empty again once the answer is taken."""

from __future__ import annotations

from dataclasses import dataclass

from .engine import Database


@dataclass(frozen=True, slots=True)
class QueryRow:
    """A query that this process took on."""

    query_id: str
    workflow_uuid: str
    run_id: str
    request: bytes
    min_inbox: int


async def ask(database: Database, row: QueryRow, *, ttl: float) -> bool:
    """Leave a query for whoever owns the run, or may; it expires after `ttl` seconds.

    Returns:
        Whether there is such a run.
    """
    rows = await database.fetch(
        "ask_query",
        {
            "query_id": row.query_id,
            "run_id": row.run_id,
            "workflow_uuid": row.workflow_uuid,
            "request": row.request,
            "min_inbox": row.min_inbox,
            "ttl": ttl,
        },
    )
    return bool(rows)


async def claim(database: Database, queue: str, executor_id: str) -> list[QueryRow]:
    """Take queries that a worker of a queue can answer."""
    rows = await database.fetch(
        "claim_queries", {"queue": queue, "executor_id": executor_id}
    )
    return [
        QueryRow(
            row["query_id"],
            row["workflow_uuid"],
            row["run_id"],
            row["request"],
            row["min_inbox"],
        )
        for row in rows
    ]


async def give_back(
    database: Database, row: QueryRow, executor_id: str
) -> tuple[bool, bool]:
    """Leave a query that this process took on to the owner of its run.

    Returns:
        Whether the run is open, as only such queries are given back, and whether
        another process than this one may answer now.
    """
    rows = await database.fetch(
        "return_query",
        {"query_id": row.query_id, "workflow_uuid": row.workflow_uuid},
    )
    return bool(rows), bool(rows) and rows[0]["executor_id"] != executor_id


async def answer(database: Database, query_id: str, content: bytes) -> None:
    """Leave the answer."""
    await database.fetch("answer_query", {"query_id": query_id, "answer": content})


async def take(
    database: Database, query_id: str, *, give_up: bool = False
) -> bytes | None:
    """Take the answer, if it is there; with `give_up`, remove the query anyway."""
    rows = await database.fetch(
        "take_answer", {"query_id": query_id, "give_up": give_up}
    )
    return rows[0]["answer"] if rows else None
