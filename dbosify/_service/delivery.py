"""Doing what lies in the outbox: whoever tries comes to the same end, once.

What an entry does to another run, and that it is done, is one transaction; an answer
that the run waits for is either in it as well or kept in the entry until it is told.
A transaction locks the entry first and then one open run; a second one at most if it
has just made it. So deliveries never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from dbosify._model import ids
from dbosify._model.outbox import Entry, Kind, kind_of
from dbosify._model.protos import HistoryEvent
from dbosify._store import inboxes, outbox
from dbosify._store.engine import Connection
from dbosify._store.inboxes import Message
from dbosify._store.resets import heir

from . import external, nexus, parting
from .child_start import Again, start_child
from .context import Context
from .sending import tell_sent

Row: TypeAlias = dict[str, Any]
_Ask: TypeAlias = Callable[
    [Context, Connection, Entry], Awaitable[tuple[HistoryEvent, Row | None]]
]

_ASKED: Mapping[Kind, _Ask] = {
    Kind.SIGNAL: external.signal,
    Kind.CANCEL: external.cancel,
}


async def deliver(context: Context, entry_id: str) -> None:
    """Deliver an entry, unless that is done or somebody else is just at it."""
    elsewhere = _ELSEWHERE.get(kind_of(entry_id))
    if elsewhere is not None:
        await elsewhere(context, entry_id)
        return
    while True:
        try:
            await _deliver(context, entry_id)
        except external.Early as early:
            await _start(context, early.start_id)
            continue
        return


async def _deliver(context: Context, entry_id: str) -> None:
    database = context.database
    async with database.transaction() as connection:
        taken = await outbox.take(connection, database, entry_id)
        if taken is None:
            return
        entry, answer = taken
        target: Row | None = None
        if entry.kind is Kind.REPORT:
            target = await _report(context, connection, entry)
        elif entry.kind in _ASKED and answer is None:
            answer, target = await _ASKED[entry.kind](context, connection, entry)
            await outbox.keep_answer(connection, database, entry, answer)
    if target is not None:
        tell_sent(context, target)
    if entry.kind is Kind.PART:
        await parting.part(context, entry)
        await _drop(context, entry)
    elif answer is not None:
        await _tell(context, entry, answer)


async def _report(context: Context, connection: Connection, entry: Entry) -> Row | None:
    """Tell a parent of its child's end, if the parent is still there to hear it."""
    first, told = entry.events
    started = first.workflow_execution_started_event_attributes
    parent = started.parent_workflow_execution
    message = Message(f"child::{started.parent_initiated_event_id}", [told])
    run_id: str | None = parent.run_id
    while run_id:
        run = await inboxes.send_in(
            connection, context.database, parent.workflow_id, message, run_id=run_id
        )
        if run is None or run["inbox"] is not None:
            break
        # A parent that was reset has left its children to the run in its place.
        run_id = await heir(
            connection,
            context.database,
            ids.workflow_uuid(parent.workflow_id, run_id),
            started,
        )
    await outbox.drop(connection, context.database, entry)
    return run if run is not None and run["inbox"] is not None else None


async def _start(context: Context, entry_id: str) -> None:
    while True:
        try:
            await start_child(context, entry_id)
        except Again:
            continue
        return


async def _tell(context: Context, entry: Entry, answer: HistoryEvent) -> None:
    """Give the run that asked its answer."""
    database = context.database
    async with database.transaction() as connection:
        if await outbox.take(connection, database, entry.entry_id) is None:
            return
        run = await inboxes.send_in(
            connection,
            database,
            ids.workflow_id_of(entry.workflow_uuid),
            answer_message(entry, answer),
            run_id=ids.run_id_of(entry.workflow_uuid),
        )
        await outbox.drop(connection, database, entry)
    if run is not None and run["inbox"] is not None:
        tell_sent(context, run)


def answer_message(entry: Entry, answer: HistoryEvent) -> Message:
    """The message that tells a run what an entry of it came to."""
    return Message(f"answer::{entry.kind.value}::{entry.event_id}", [answer])


async def _drop(context: Context, entry: Entry) -> None:
    async with context.database.transaction() as connection:
        await outbox.drop(connection, context.database, entry)


_ELSEWHERE: Mapping[Kind, Callable[[Context, str], Awaitable[None]]] = {
    Kind.START: _start,
    Kind.NEXUS: nexus.ask,
    Kind.CANCEL_NEXUS: nexus.ask_cancel,
    Kind.CALL_BACK: nexus.report,
    Kind.ACTIVITY_CALL_BACK: nexus.report_activity,
    Kind.UPDATE_CALL_BACK: nexus.report_update,
}
"""Entries whose delivery is not one transaction of the usual kind."""
