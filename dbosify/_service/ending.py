"""Ending a run from outside its workflow code: terminated, or out of time.

The status row's lock makes the end and any turn of the run's owner take turns; after
the end the owner's token is gone and whatever it still writes is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from temporalio.api.history.v1 import WorkflowExecutionTerminatedEventAttributes

from dbosify._model import callbacks, clock, ids
from dbosify._model import outbox as outboxes
from dbosify._model.children import Children
from dbosify._model.journal import Damaged, Step
from dbosify._model.outbox import Entry
from dbosify._model.protos import (
    Callback,
    EventType,
    HistoryEvent,
    Payload,
    Payloads,
    WorkflowExecutionStatus,
)
from dbosify._store import inboxes, journal, outbox, runs
from dbosify._store.engine import Call, Connection, Database, Rows
from dbosify._store.inboxes import Inbox
from dbosify._store.journal import Journal
from dbosify._store.runs import Ending, StartRow

from .context import Context
from .pending import pending_events

logger = logging.getLogger(__name__)

CANCELLED_BY_DBOS = "cancelled through DBOS"
"""Reason of a termination that DBOS's own `cancel_workflow` asked for."""


async def terminate_run(
    context: Context,
    workflow_uuid: str,
    *,
    reason: str,
    details: Payload | Payloads | None = None,
    identity: str,
) -> bool:
    """Terminate a run.

    Returns:
        Whether it was open until now.
    """
    ending = termination(context, reason=reason, details=details, identity=identity)
    return await end_run(context, workflow_uuid, lambda _: ending) is not None


def termination(
    context: Context,
    *,
    reason: str,
    details: Payload | Payloads | None = None,
    identity: str,
) -> Ending:
    """The end of a run that somebody terminates."""
    attributes = WorkflowExecutionTerminatedEventAttributes(
        reason=reason, identity=identity
    )
    if isinstance(details, Payload):
        attributes.details.payloads.append(details)
    elif details is not None:
        attributes.details.CopyFrom(details)
    event = HistoryEvent(
        event_time=context.around.now(),
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        workflow_execution_terminated_event_attributes=attributes,
    )
    return Ending(
        event,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED,
        "CANCELLED",
        "terminate",
    )


async def end_run(
    context: Context,
    workflow_uuid: str,
    decide: Callable[[HistoryEvent], Ending],
    also: Sequence[Call] = (),
) -> list[Rows] | None:
    """Close a run from outside, and tell its owner and those who wait for it.

    Args:
        context: of whoever does it.
        workflow_uuid: of the run.
        decide: is shown how the run began, and says how it ends.
        also: statements of the same transaction, if the run was open until now.

    Returns:
        What these statements said; None if the run was closed.
    """
    async with context.database.transaction() as connection:
        ending = await end_in(context, connection, workflow_uuid, decide)
        if ending is None:
            return None
        answers = [
            await context.database.run(connection, call.name, call.params)
            for call in also
        ]
    tell_ended(context, workflow_uuid, ending)
    return answers


async def end_in(
    context: Context,
    connection: Connection,
    workflow_uuid: str,
    decide: Callable[[HistoryEvent], Ending],
) -> Ending | None:
    """Close a run in the caller's transaction; see `end_run`.

    Returns:
        Its end, of which others must be told after the commit; None if it was closed.
    """
    database = context.database
    locked = await database.run(
        connection, "lock_run", {"workflow_uuid": workflow_uuid}
    )
    if not locked:
        return None
    past = await _unjournaled(context, connection, workflow_uuid)
    ending = decide(past.start)
    event = ending.event
    event.event_id = event.task_id = past.event_id
    step = Step(ending.step, (*past.events, event))
    if not await runs.end(
        connection,
        database,
        workflow_uuid,
        ending,
        (past.step, step),
        history_size=past.size + event.ByteSize(),
    ):
        return None
    if ending.replaced:
        return ending
    entries = await _part(context, connection, workflow_uuid, past, ending)
    return replace(ending, entries=entries)


def tell_ended(context: Context, workflow_uuid: str, ending: Ending) -> None:
    """Tell whoever waits for a run, its owner, and the workers of its next one."""
    context.around.closed(workflow_uuid, ending.event)
    context.around.messaged(workflow_uuid)
    context.around.deliver(ending.entries)
    if ending.next is not None:
        announce(context, ending.next)


def announce(context: Context, row: StartRow) -> None:
    """Tell workers of a run that was started for any of them."""
    event = row.events[0]
    if row.backoff == 0:
        started = event.workflow_execution_started_event_attributes
        context.around.run_queued(started.task_queue.name)
    else:
        context.around.wake_at(clock.seconds(event.event_time) + row.backoff)


@dataclass(frozen=True, slots=True)
class _Past:
    """A locked run: how it began, what no turn took in, and what comes next."""

    start: HistoryEvent
    children: Children
    callbacks: Sequence[Callback]
    events: list[HistoryEvent]
    step: int
    event_id: int
    size: int
    """Bytes of its history so far."""


async def _unjournaled(
    context: Context, connection: Connection, workflow_uuid: str
) -> _Past:
    database = context.database
    run = await runs.find_in(
        connection,
        database,
        ids.workflow_id_of(workflow_uuid),
        ids.run_id_of(workflow_uuid),
    )
    assert run is not None, "its row is locked"
    loaded, inbox = await _readable(connection, database, run)
    events: list[HistoryEvent] = []
    if run["close_time"] is None:
        events = pending_events(loaded.events, inbox, run, context.around.now())
    last = (events or loaded.events)[-1].event_id
    history = (*loaded.events, *events)
    return _Past(
        loaded.events[0],
        Children(history),
        callbacks.attached(history),
        events,
        loaded.next_step,
        last + 1,
        sum(event.ByteSize() for event in history),
    )


async def _readable(
    connection: Connection, database: Database, run: dict[str, Any]
) -> tuple[Journal, Inbox | None]:
    """A run's journal and inbox; of what is damaged, as much as can be read.

    A run that nobody can go on with must not be one that nobody can end.
    """
    uuid = run["workflow_uuid"]
    rows = await journal.rows_in(connection, database, uuid)
    try:
        loaded = journal.of_rows(rows)
        sent = await inboxes.read_in(connection, database, [uuid])
    except Damaged as error:
        logger.warning("run %s is ended as it is: %s", uuid, error)
        return journal.ruins(rows, _made_up_start(run)), None
    assert loaded is not None, "its row is locked"
    return loaded, sent.get(uuid)


def _made_up_start(run: dict[str, Any]) -> HistoryEvent:
    """The start of a run as far as its row tells it."""
    event = HistoryEvent(
        event_id=1, event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    )
    event.event_time.FromDatetime(run["execution_time"])
    started = event.workflow_execution_started_event_attributes
    started.workflow_id = run["workflow_id"]
    started.workflow_type.name = run["workflow_type"]
    started.task_queue.name = run["task_queue"]
    started.first_execution_run_id = run["first_run_id"]
    started.original_execution_run_id = run["run_id"]
    return event


async def _part(
    context: Context,
    connection: Connection,
    workflow_uuid: str,
    past: _Past,
    ending: Ending,
) -> list[Entry]:
    """Put into the outbox what the end means to the run's parent and children."""
    entries = list(
        outboxes.of_close(
            workflow_uuid,
            past.start.workflow_execution_started_event_attributes,
            ending.event,
            last=ending.next is None,
            open_children=past.children.open.values(),
            callbacks=past.callbacks,
        )
    )
    if entries:
        closed_at = runs.iso(ending.event.event_time.ToNanoseconds())
        call = outbox.put(workflow_uuid, entries, closed_at=closed_at)
        await context.database.run(connection, call.name, call.params)
    return entries


async def find_run(
    context: Context, workflow_id: str, run_id: str | None
) -> dict[str, Any] | None:
    """A run as stored, after making good what nobody has seen to yet.

    `cancel_workflow` of DBOS marks only its own row; the first reader turns that into
    a termination that Temporal's API shows. A reader also closes a run that is out of
    time: there may be no worker that does.
    """
    run = await runs.find(context.database, workflow_id, run_id)
    if run is None or run["close_time"] is not None:
        return run
    if run["dbos_status"] == "CANCELLED":
        await terminate_run(
            context, run["workflow_uuid"], reason=CANCELLED_BY_DBOS, identity="dbos"
        )
    elif run["expires_at"] is not None and run[
        "expires_at"
    ].timestamp() <= clock.seconds(context.around.now()):
        await context.around.time_out(run["workflow_uuid"])
    else:
        return run
    return await runs.find(context.database, workflow_id, run["run_id"])
