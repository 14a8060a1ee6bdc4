"""Signals and cancel requests from one workflow to another, and what they come to."""

from __future__ import annotations

import uuid
from typing import Any, TypeAlias, TypeGuard

from temporalio.api.history.v1 import (
    WorkflowExecutionCancelRequestedEventAttributes,
    WorkflowExecutionSignaledEventAttributes,
)

from dbosify._model import ids
from dbosify._model.outbox import Entry
from dbosify._model.protos import (
    CancelExternalWorkflowExecutionFailedCause,
    EventType,
    HistoryEvent,
    SignalExternalWorkflowExecutionFailedCause,
    WorkflowExecution,
)
from dbosify._store import inboxes, outbox, runs
from dbosify._store.engine import Connection
from dbosify._store.inboxes import Message

from .context import Context

Row: TypeAlias = dict[str, Any]

HISTORY_SERVICE = "history-service"
"""Who acts, as Temporal's server writes it, where one workflow acts on another."""

_SIGNAL_NOT_FOUND = SignalExternalWorkflowExecutionFailedCause.SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND  # noqa: E501
_CANCEL_NOT_FOUND = CancelExternalWorkflowExecutionFailedCause.CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND  # noqa: E501


class Early(Exception):
    """The child that is meant may not be there yet: its start still lies in the outbox.

    Args:
        start_id: Of the entry that comes first.
    """

    def __init__(self, start_id: str) -> None:
        super().__init__()
        self.start_id = start_id


def source_of(entry: Entry) -> WorkflowExecution:
    """The run that an entry comes from."""
    return WorkflowExecution(
        workflow_id=ids.workflow_id_of(entry.workflow_uuid),
        run_id=ids.run_id_of(entry.workflow_uuid),
    )


def request_id(entry: Entry) -> str:
    """The same id for every try at an entry."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, entry.entry_id))


async def signal(
    context: Context, connection: Connection, entry: Entry
) -> tuple[HistoryEvent, Row | None]:
    """Signal the target.

    Returns:
        What to tell the run that wants it, and the target if it was reached.

    Raises:
        Early: nothing is done, a child has to be started first.
    """
    wanted = entry.events[
        0
    ].signal_external_workflow_execution_initiated_event_attributes
    signaled = WorkflowExecutionSignaledEventAttributes(
        signal_name=wanted.signal_name,
        input=wanted.input if wanted.HasField("input") else None,
        header=wanted.header if wanted.HasField("header") else None,
        identity=HISTORY_SERVICE,
        external_workflow_execution=source_of(entry),
        request_id=request_id(entry),
    )
    event = HistoryEvent(
        event_time=context.around.now(),
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        workflow_execution_signaled_event_attributes=signaled,
    )
    message = Message(f"signal::{signaled.request_id}", [event])
    run = await _send(context, connection, entry, wanted, message)
    if run is not None and (run["inbox"] is not None or run["duplicates"]):
        answer = _answer(
            context, EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED
        )
        attributes: Any = answer.external_workflow_execution_signaled_event_attributes
    else:
        answer = _answer(
            context, EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED
        )
        attributes = answer.signal_external_workflow_execution_failed_event_attributes
        attributes.cause = _SIGNAL_NOT_FOUND
    _name_target(attributes, entry, wanted)
    return answer, run if run is not None and run["inbox"] is not None else None


async def cancel(
    context: Context, connection: Connection, entry: Entry
) -> tuple[HistoryEvent, Row | None]:
    """Ask the target to end; one that is over already needs no asking.

    Returns:
        What to tell the run that wants it, and the target if it was reached.

    Raises:
        Early: nothing is done, a child has to be started first.
    """
    asked = entry.events[0]
    wanted = asked.request_cancel_external_workflow_execution_initiated_event_attributes
    requested = WorkflowExecutionCancelRequestedEventAttributes(
        cause=wanted.reason,
        identity=HISTORY_SERVICE,
        external_initiated_event_id=entry.event_id,
        external_workflow_execution=source_of(entry),
    )
    run = await _send(
        context, connection, entry, wanted, cancel_message(context, requested)
    )
    if run is not None:
        answer = _answer(
            context,
            EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
        )
        attributes: Any = (
            answer.external_workflow_execution_cancel_requested_event_attributes
        )
    else:
        answer = _answer(
            context,
            EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
        )
        attributes = (
            answer.request_cancel_external_workflow_execution_failed_event_attributes
        )
        attributes.cause = _CANCEL_NOT_FOUND
    _name_target(attributes, entry, wanted)
    return answer, run if run is not None and run["inbox"] is not None else None


def cancel_message(
    context: Context,
    requested: WorkflowExecutionCancelRequestedEventAttributes,
    first_run_id: str | None = None,
) -> Message:
    """The message that asks a run to end."""
    event = HistoryEvent(
        event_time=context.around.now(),
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
        workflow_execution_cancel_requested_event_attributes=requested,
    )
    return Message("cancel", [event], cancel=True, first_run_id=first_run_id)


def _answer(context: Context, kind: EventType.ValueType) -> HistoryEvent:
    return HistoryEvent(event_type=kind, event_time=context.around.now())


def _name_target(attributes: Any, entry: Entry, wanted: Any) -> None:
    attributes.initiated_event_id = entry.event_id
    attributes.namespace = wanted.namespace
    attributes.workflow_execution.CopyFrom(wanted.workflow_execution)


async def _send(
    context: Context,
    connection: Connection,
    entry: Entry,
    wanted: Any,
    message: Message,
) -> Row | None:
    """Send to the target; None if there is none, or none that may be reached."""
    target = wanted.workflow_execution
    source = source_of(entry)
    if target.workflow_id == source.workflow_id:
        return None
    run_id = target.run_id or None
    while True:
        found = await _target(context, connection, entry, wanted)
        if found is None:
            return None
        sent = await inboxes.send_in(
            connection,
            context.database,
            target.workflow_id,
            message,
            run_id=found["run_id"],
        )
        # A run that has just continued as another is not the one that is meant.
        if (
            sent is not None
            and sent["inbox"] is None
            and run_id is None
            and await _followed(context, connection, found)
        ):
            continue
        return sent


async def _target(
    context: Context, connection: Connection, entry: Entry, wanted: Any
) -> Row | None:
    """The run that is meant; where only a child may be, one that may be reached."""
    target = wanted.workflow_execution
    call = (connection, context.database, target.workflow_id, target.run_id or None)
    found = await runs.find_in(*call)
    if not wanted.child_workflow_only:
        return found
    if not _is_child(found, entry) or found["close_time"] is not None:
        # Deliveries overtake each other. Whoever just makes the child is waited for.
        starts = await outbox.early_starts(connection, context.database, entry)
        if starts:
            raise Early(starts[0])
        found = await runs.find_in(*call)
    return found if _is_child(found, entry) else None


def _is_child(run: Row | None, entry: Entry) -> TypeGuard[Row]:
    source = source_of(entry)
    return run is not None and (
        (run["parent_workflow_id"], run["parent_run_id"])
        == (source.workflow_id, source.run_id)
    )


async def _followed(context: Context, connection: Connection, run: Row) -> bool:
    latest = await runs.find_in(connection, context.database, run["workflow_id"], None)
    return latest is not None and latest["run_id"] != run["run_id"]
