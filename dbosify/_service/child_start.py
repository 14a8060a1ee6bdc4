"""Starting a child: its run and the parent's news of it are one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

from dbosify._model import clock, cron, ids
from dbosify._model.outbox import Entry
from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    ParentClosePolicy,
    Payload,
    StartChildWorkflowExecutionFailedCause,
    StartChildWorkflowExecutionInitiatedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
    WorkflowIdReusePolicy,
)
from dbosify._model.start import first_events
from dbosify._model.versioning import pin_of
from dbosify._store import inboxes, outbox, routing, runs
from dbosify._store.engine import Connection
from dbosify._store.inboxes import Message
from dbosify._store.runs import StartRow

from .context import Context
from .ending import find_run, terminate_run
from .external import HISTORY_SERVICE, request_id
from .run_ids import new_run_id
from .sending import tell_sent
from .starting import REPLACED, hand_over, reusable_statuses

Row: TypeAlias = dict[str, Any]
_Options: TypeAlias = StartChildWorkflowExecutionInitiatedEventAttributes

_REPLACES = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING
_EXISTS = StartChildWorkflowExecutionFailedCause.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS  # noqa: E501


class Again(Exception):
    """What was in the way is gone, or was not seen yet."""


class _Occupied(Exception):
    """A run has to be ended before the child can have its id."""

    def __init__(self, latest: Row) -> None:
        super().__init__()
        self.latest = latest


class _ParentGone(Exception):
    """The parent closed before its child was started, and wants none then."""


async def start_child(context: Context, entry_id: str) -> None:
    """Start a child and tell its parent, or tell the parent why not.

    Raises:
        Again: nothing is done; the same may work now.
    """
    row: StartRow | None = None
    try:
        async with context.database.transaction() as connection:
            taken = await outbox.take(connection, context.database, entry_id)
            if taken is None:
                return
            entry = taken[0]
            row, parent = await _start(context, connection, entry)
    except _ParentGone:
        async with context.database.transaction() as connection:
            await outbox.drop(connection, context.database, entry)
        return
    except _Occupied as occupied:
        await _make_room(context, entry, occupied.latest)
        raise Again from None
    if row is not None:
        started = row.events[0].workflow_execution_started_event_attributes
        hand_over(context, started.task_queue.name, row)
    if parent is not None:
        tell_sent(context, parent)


async def _start(
    context: Context, connection: Connection, entry: Entry
) -> tuple[StartRow | None, Row | None]:
    initiated, first = entry.events
    options = initiated.start_child_workflow_execution_initiated_event_attributes
    begun = first.workflow_execution_started_event_attributes
    await _settle_version(context, begun)
    row = _row(context, entry, begun)
    if row.backoff == 0:
        row = replace(row, owner=context.around.reserve(row))
    call = runs.start_call(
        row, reusable_statuses(options.workflow_id_reuse_policy), recognise=False
    )
    result = (await context.database.run(connection, call.name, call.params))[0]
    if not result["owned"]:
        row = replace(row, owner=None)
    if result["created"]:
        answer = _started(context, entry, options, row.run_id)
    else:
        await _check_the_way(context, connection, options, result)
        answer = _refused(context, entry, options)
    message = Message(f"answer::start::{entry.event_id}", [answer])
    parent = await inboxes.send_in(
        connection,
        context.database,
        ids.workflow_id_of(entry.workflow_uuid),
        message,
        run_id=ids.run_id_of(entry.workflow_uuid),
    )
    told = parent is not None and parent["inbox"] is not None
    abandons = ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON
    if result["created"] and not told and options.parent_close_policy != abandons:
        raise _ParentGone
    await outbox.drop(connection, context.database, entry)
    return row if result["created"] else None, parent if told else None


async def _settle_version(
    context: Context, begun: WorkflowExecutionStartedEventAttributes
) -> None:
    """Let go of the parent's version if it does not serve the child's task queue."""
    pinned_to = pin_of(begun)
    if pinned_to is None or await routing.serves(
        context.database, pinned_to, begun.task_queue.name
    ):
        return
    begun.ClearField("inherited_pinned_version")
    begun.ClearField("versioning_override")


async def _check_the_way(
    context: Context, connection: Connection, options: _Options, latest: Row
) -> None:
    """Whether the id's latest run really refuses another one."""
    if latest["run_id"] is None:
        raise Again
    run = await runs.find_in(
        connection, context.database, options.workflow_id, latest["run_id"]
    )
    if run is None:
        raise Again
    if run["close_time"] is None:
        replaced = options.workflow_id_reuse_policy == _REPLACES
        if replaced or run["dbos_status"] == "CANCELLED":
            raise _Occupied(run)
    elif latest["close_time"] is None or run["status"] in reusable_statuses(
        options.workflow_id_reuse_policy
    ):
        raise Again


async def _make_room(context: Context, entry: Entry, latest: Row) -> None:
    if latest["dbos_status"] == "CANCELLED":
        await find_run(context, latest["workflow_id"], latest["run_id"])
        return
    await terminate_run(
        context,
        latest["workflow_uuid"],
        reason=REPLACED,
        details=Payload(
            metadata={"encoding": b"json/plain"},
            data=f'"terminated by child of {entry.workflow_uuid}"'.encode(),
        ),
        identity=HISTORY_SERVICE,
    )


def _row(
    context: Context, entry: Entry, template: WorkflowExecutionStartedEventAttributes
) -> StartRow:
    """The child's run, with what is only known now: its id and its times."""
    now = context.around.now()
    started = WorkflowExecutionStartedEventAttributes()
    started.CopyFrom(template)
    run_id = new_run_id(clock.milliseconds(now))
    started.original_execution_run_id = run_id
    started.first_execution_run_id = run_id
    if clock.seconds(started.workflow_execution_timeout) > 0:
        started.workflow_execution_expiration_time.CopyFrom(
            clock.later(now, started.workflow_execution_timeout)
        )
    backoff = 0.0
    if started.cron_schedule:
        backoff = cron.backoff(started.cron_schedule, now, now) or 0.0
    started.first_workflow_task_backoff.CopyFrom(clock.duration(backoff))
    initiated = entry.events[0]
    metadata = initiated.user_metadata if initiated.HasField("user_metadata") else None
    events = first_events(started, now, delayed=backoff > 0, metadata=metadata)
    return StartRow(started.workflow_id, run_id, request_id(entry), events, backoff)


def _started(
    context: Context, entry: Entry, options: _Options, run_id: str
) -> HistoryEvent:
    event = HistoryEvent(
        event_time=context.around.now(),
        event_type=EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED,
    )
    attributes = event.child_workflow_execution_started_event_attributes
    attributes.initiated_event_id = entry.event_id
    attributes.namespace = options.namespace
    attributes.workflow_execution.workflow_id = options.workflow_id
    attributes.workflow_execution.run_id = run_id
    attributes.workflow_type.CopyFrom(options.workflow_type)
    if options.HasField("header"):
        attributes.header.CopyFrom(options.header)
    return event


def _refused(context: Context, entry: Entry, options: _Options) -> HistoryEvent:
    event = HistoryEvent(
        event_time=context.around.now(),
        event_type=EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED,
    )
    attributes = event.start_child_workflow_execution_failed_event_attributes
    attributes.initiated_event_id = entry.event_id
    attributes.namespace = options.namespace
    attributes.workflow_id = options.workflow_id
    attributes.workflow_type.CopyFrom(options.workflow_type)
    attributes.cause = _EXISTS
    attributes.workflow_task_completed_event_id = (
        options.workflow_task_completed_event_id
    )
    return event
