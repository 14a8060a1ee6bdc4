"""The outbox in the database: written with a turn or a close, emptied by deliveries."""

from __future__ import annotations

from collections.abc import Sequence

from dbosify._model import journal
from dbosify._model.outbox import Entry, Kind
from dbosify._model.protos import HistoryEvent

from .engine import Call, Connection, Database

HEAD_START = 2.0
"""Seconds that whoever wrote an entry has before any worker may deliver it."""


def put(
    workflow_uuid: str,
    entries: Sequence[Entry],
    *,
    token: str | None = None,
    closed_at: str | None = None,
) -> Call:
    """The statement that writes entries together with what makes them true.

    Args:
        workflow_uuid: of the run that wants them.
        entries: what it wants.
        token: of the run's owner, if the run goes on.
        closed_at: when the transaction closes the run, if it does.
    """
    return Call(
        "put_outbox",
        {
            "workflow_uuid": workflow_uuid,
            "token": token,
            "closed_at": closed_at,
            "head_start": HEAD_START,
            "entry_ids": [entry.entry_id for entry in entries],
            "kinds": [entry.kind.value for entry in entries],
            "event_ids": [entry.event_id for entry in entries],
            "events": [journal.pack_bytes(entry.events) for entry in entries],
        },
    )


async def take(
    connection: Connection, database: Database, entry_id: str
) -> tuple[Entry, HistoryEvent | None] | None:
    """Lock an entry; it comes with its answer, if only the telling is left to do."""
    rows = await database.run(connection, "take_outbox", {"entry_id": entry_id})
    if not rows:
        return None
    row = rows[0]
    entry = Entry(
        row["workflow_uuid"],
        Kind(row["kind"]),
        row["event_id"],
        tuple(journal.unpack_bytes(row["events"])),
    )
    answer = row["answer"]
    return entry, None if answer is None else HistoryEvent.FromString(answer)


async def early_starts(
    connection: Connection, database: Database, entry: Entry
) -> list[str]:
    """Ids of its run's earlier starts of children that are not delivered yet."""
    rows = await database.run(
        connection,
        "early_starts",
        {
            "workflow_uuid": entry.workflow_uuid,
            "kind": Kind.START.value,
            "event_id": entry.event_id,
        },
    )
    return [row["entry_id"] for row in rows]


async def keep_answer(
    connection: Connection, database: Database, entry: Entry, answer: HistoryEvent
) -> None:
    """Note what an entry came to, with what it did."""
    await database.run(
        connection,
        "answer_outbox",
        {"entry_id": entry.entry_id, "answer": answer.SerializeToString()},
    )


async def drop(connection: Connection, database: Database, entry: Entry) -> None:
    """Forget an entry that is done."""
    await database.run(connection, "drop_outbox", {"entry_id": entry.entry_id})


async def due(database: Database) -> list[str]:
    """Ids of entries that are overdue; asking puts their next time off."""
    return [row["entry_id"] for row in await database.fetch("due_outbox", {})]
