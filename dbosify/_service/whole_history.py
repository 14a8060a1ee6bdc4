"""A run's history as it stands, with the messages that no turn has taken in."""

from __future__ import annotations

from typing import Any

from dbosify._model.protos import HistoryEvent
from dbosify._store import inboxes, journal

from .context import Context
from .ending import find_run
from .pending import pending_events


async def events_of(
    context: Context, run: dict[str, Any]
) -> tuple[list[HistoryEvent], bool]:
    """All of a run's history, and whether the run is open."""
    uuid = run["workflow_uuid"]
    # The inbox first: a message that a turn takes in between the two reads is then in
    # both, and the journal's copy counts.
    before = await inboxes.read(context.database, [uuid])
    loaded = await journal.load(context.database, uuid)
    fresh = await find_run(context, run["workflow_id"], run["run_id"])
    assert loaded is not None, "the run was found"
    if fresh is not None and fresh["close_time"] is None:
        again = await inboxes.read(context.database, [uuid])
        if again[uuid].message_ids == before[uuid].message_ids:
            now = context.around.now()
            return [
                *loaded.events,
                *pending_events(loaded.events, again[uuid], fresh, now),
            ], True
        return await events_of(context, fresh)
    # Closed, maybe between the reads: the journal may have been read too early.
    loaded = await journal.load(context.database, uuid)
    assert loaded is not None, "the run was found"
    return loaded.events, False
