"""Ending a run from outside its workflow code: terminate, however it was asked for.

The status row's lock makes the end and any turn of the run's owner take turns; after
the end the owner's token is gone and whatever it still writes is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from temporalio.api.history.v1 import WorkflowExecutionTerminatedEventAttributes

from dbosify._model import ids
from dbosify._model.journal import Step
from dbosify._model.protos import EventType, HistoryEvent, Payload, Payloads
from dbosify._store import journal, runs
from dbosify._store.engine import Connection

from .context import Context
from .pending import pending_events

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
    database = context.database
    async with database.transaction() as connection:
        locked = await database.run(
            connection, "lock_run", {"workflow_uuid": workflow_uuid}
        )
        if not locked:
            return False
        number, events = await _unjournaled(context, connection, workflow_uuid)
        attributes = WorkflowExecutionTerminatedEventAttributes(
            reason=reason, identity=identity
        )
        if isinstance(details, Payload):
            attributes.details.payloads.append(details)
        elif details is not None:
            attributes.details.CopyFrom(details)
        event = HistoryEvent(
            event_id=number.event_id,
            task_id=number.event_id,
            event_time=context.around.now(),
            event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
            workflow_execution_terminated_event_attributes=attributes,
        )
        ended = await runs.end(
            connection,
            database,
            workflow_uuid,
            (number.step, Step("terminate", (*events, event))),
        )
    if ended:
        context.around.closed(workflow_uuid, event)
        context.around.messaged(workflow_uuid)
    return ended


@dataclass(frozen=True, slots=True)
class _Next:
    step: int
    event_id: int


async def _unjournaled(
    context: Context, connection: Connection, workflow_uuid: str
) -> tuple[_Next, list[HistoryEvent]]:
    """What comes next in the journal, after the messages that nobody took in."""
    database = context.database
    loaded = await journal.load_in(connection, database, workflow_uuid)
    inboxes = await runs.read_inboxes_in(connection, database, [workflow_uuid])
    run = await runs.find_in(
        connection,
        database,
        ids.workflow_id_of(workflow_uuid),
        ids.run_id_of(workflow_uuid),
    )
    assert loaded is not None, "its row is locked"
    assert run is not None, "its row is locked"
    events: list[HistoryEvent] = []
    if run["close_time"] is None:
        events = pending_events(
            loaded.events, inboxes.get(workflow_uuid), run, context.around.now()
        )
    last = (events or loaded.events)[-1].event_id
    return _Next(loaded.next_step, last + 1), events


async def find_run(
    context: Context, workflow_id: str, run_id: str | None
) -> dict[str, Any] | None:
    """A run as stored, after making good what DBOS's own verbs did to it.

    `cancel_workflow` of DBOS marks only its own row; the first reader turns that into
    a termination that Temporal's API shows.
    """
    run = await runs.find(context.database, workflow_id, run_id)
    if run is None:
        return None
    if run["close_time"] is None and run["dbos_status"] == "CANCELLED":
        await terminate_run(
            context, run["workflow_uuid"], reason=CANCELLED_BY_DBOS, identity="dbos"
        )
        return await runs.find(context.database, workflow_id, run["run_id"])
    return run
