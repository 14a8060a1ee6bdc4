"""Nexus operations between caller and handler: asked for, called, reported, expired.

Each change is one transaction: the operation's row is locked first, then the caller's
run, which gets what it has to be told as a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from temporalio.api.workflowservice.v1 import StartActivityExecutionRequest

from dbosify._model import clock, ids, nexus
from dbosify._model.nexus import NexusOperation
from dbosify._model.outbox import Entry, Kind
from dbosify._model.protos import (
    ActivityExecutionOutcome,
    Callback,
    EventType,
    Failure,
    HistoryEvent,
    Link,
    Payload,
)
from dbosify._model.standalone_operation import news_of
from dbosify._store import (
    inboxes,
    outbox,
    standalone,
    standalone_operations,
    updates,
)
from dbosify._store import nexus as operations
from dbosify._store.engine import Connection
from dbosify._store.inboxes import Message

from . import updating
from .context import Context, NexusCalls
from .sending import tell_sent
from .system_endpoint import Answer, call

Change: TypeAlias = Callable[[NexusCalls, float], object]


class _OfService(Exception):
    """An operation of the service itself, which has to answer before it is told."""

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self.entry = entry


async def ask(context: Context, entry_id: str) -> None:
    """Have the handler of an operation called, as an entry of the outbox wants it."""
    try:
        await _ask(context, entry_id, None)
    except _OfService as asked:
        await _ask(context, entry_id, await call(context, asked.entry))


async def _ask(context: Context, entry_id: str, answer: Answer | None) -> None:
    database = context.database
    async with database.transaction() as connection:
        taken = await outbox.take(connection, database, entry_id)
        if taken is None:
            return
        entry, _ = taken
        operation = await _operation_of(context, connection, entry)
        if answer is None and operation.wanted.endpoint == nexus.SYSTEM_ENDPOINT:
            raise _OfService(entry)
        told = None
        if operation.task_queue:
            operation.due_at = clock.seconds(context.around.now())
            await operations.ask(connection, database, operation)
        else:
            answer = answer or Answer(_no_endpoint(operation))
            calls = context.around.nexus_calls(operation)
            now = clock.seconds(context.around.now())
            calls.conclude(now, answer.outcome, answer.links)
            told = await _tell(context, connection, calls)
        await outbox.drop(connection, database, entry)
    if told is not None:
        tell_sent(context, told)
    else:
        _hint(context, operation)


async def ask_cancel(context: Context, entry_id: str) -> None:
    """Have the handler asked to cancel, as an entry of the outbox wants it."""
    database = context.database
    async with database.transaction() as connection:
        taken = await outbox.take(connection, database, entry_id)
        if taken is None:
            return
        entry, _ = taken
        (event,) = entry.events
        wanted = event.nexus_operation_cancel_requested_event_attributes
        key = nexus.operation_key(entry.workflow_uuid, wanted.scheduled_event_id)
        asking = Entry(entry.workflow_uuid, Kind.NEXUS, wanted.scheduled_event_id, ())
        if await outbox.take(connection, database, asking.entry_id) is not None:
            return  # The operation is not there yet; this entry's turn comes again.
        operation = await operations.lock(connection, database, key)
        if operation is not None:
            calls = context.around.nexus_calls(operation)
            calls.ask_cancel(clock.seconds(context.around.now()), event)
            await operations.save(connection, database, operation)
        await outbox.drop(connection, database, entry)
    if operation is not None:
        _hint(context, operation)


async def change(
    context: Context, key: str, what: Change, *, call: str | None = None
) -> bool:
    """Let something happen to an operation, and tell its caller.

    Args:
        context: of whoever brings it about.
        key: of the operation.
        what: is given the machine and the time in seconds since 1970.
        call: the token of the call that must be under way, if one must.

    Returns:
        Whether it happened; not if the operation is over, or the call another.
    """
    database = context.database
    async with database.transaction() as connection:
        operation = await operations.lock(connection, database, key)
        if operation is None or (call is not None and operation.call != call):
            return False
        calls = context.around.nexus_calls(operation)
        what(calls, clock.seconds(context.around.now()))
        told = await _tell(context, connection, calls)
        unheard = calls.news and told is None and not operation.standalone
        if calls.over or unheard:
            await operations.drop(connection, database, key)
        else:
            await operations.save(connection, database, operation)
    if told is not None:
        tell_sent(context, told)
    if operation.standalone and calls.news:
        context.around.closed(key, None)
    if not calls.over:
        _hint(context, operation)
    return True


async def report(context: Context, entry_id: str) -> None:
    """Report the end of a run to the operation that it worked on."""
    entry = await _look(context, entry_id)
    if entry is None:
        return
    first, closing = entry.events
    started = first.workflow_execution_started_event_attributes
    await _report(
        context,
        started.completion_callbacks,
        outcome_of(closing),
        _to_start(context, entry),
    )
    await _drop(context, entry)


async def report_activity(context: Context, entry_id: str) -> None:
    """Report the end of an activity to the operation that it worked on."""
    entry = await _look(context, entry_id)
    if entry is None:
        return
    found = await standalone.of_task(context.database, entry.workflow_uuid)
    if found is not None and found["outcome"] is not None:
        request = StartActivityExecutionRequest.FromString(found["request"])
        told = ActivityExecutionOutcome.FromString(found["outcome"])
        payloads = told.result.payloads
        outcome: Payload | Failure | None = payloads[0] if payloads else None
        if told.HasField("failure"):
            outcome = told.failure
        link = Link()
        link.activity.namespace = context.namespace
        link.activity.activity_id = found["activity_id"]
        link.activity.run_id = found["run_id"]
        await _report(context, request.completion_callbacks, outcome, link)
    await _drop(context, entry)


async def report_update(context: Context, entry_id: str) -> None:
    """Report the end of an update to the operations that wait for it, once it is there.

    Until then the entry stays; the run's owner has it delivered as soon as it may be.
    """
    entry = await _look(context, entry_id)
    if entry is None:
        return
    (admitted,) = entry.events
    asked = admitted.workflow_execution_update_admitted_event_attributes
    update_id = asked.request.meta.update_id
    outcome = await updating.outcome(context, entry.workflow_uuid, update_id)
    if outcome is None:
        return
    callbacks = await updates.callbacks(
        context.database, entry.workflow_uuid, update_id
    )
    ended: Payload | Failure | None = next(iter(outcome.success.payloads), None)
    if outcome.HasField("failure"):
        ended = outcome.failure
    await _report(context, callbacks, ended, _to_update(context, entry, update_id))
    await _drop(context, entry)


def _to_update(context: Context, entry: Entry, update_id: str) -> Link:
    """The link to the event with which an update was accepted."""
    link = Link()
    found = link.workflow_event
    found.namespace = context.namespace
    found.workflow_id = ids.workflow_id_of(entry.workflow_uuid)
    found.run_id = ids.run_id_of(entry.workflow_uuid)
    found.request_id_ref.request_id = update_id
    found.request_id_ref.event_type = (
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    )
    return link


async def _look(context: Context, entry_id: str) -> Entry | None:
    """An entry whose delivery is no transaction, if nobody is just at it.

    Two may report the same at once; the operation takes one of them.
    """
    async with context.database.transaction() as connection:
        taken = await outbox.take(connection, context.database, entry_id)
    return None if taken is None else taken[0]


async def _drop(context: Context, entry: Entry) -> None:
    async with context.database.transaction() as connection:
        await outbox.drop(connection, context.database, entry)


async def _report(
    context: Context,
    callbacks: Iterable[Callback],
    outcome: Payload | Failure | None,
    link: Link,
) -> None:
    """Report an end to those of the callbacks that are operations."""
    for callback in callbacks:
        if callback.nexus.url != nexus.SYSTEM_CALLBACK:
            continue
        header = {name.lower(): text for name, text in callback.nexus.header.items()}
        named = nexus.read_callback_token(header.get(nexus.CALLBACK_HEADER, ""))
        if named is None:
            continue
        key, request = named
        token = header.get(nexus.OPERATION_HEADER, "")

        def ended(
            calls: NexusCalls, now: float, request: str = request, token: str = token
        ) -> None:
            if calls.operation.wanted.request_id == request:
                calls.report(now, outcome, token=token, links=[link])

        await change(context, key, ended)


def outcome_of(closing: HistoryEvent) -> Payload | Failure | None:
    """What the end of a run means to the operation that it worked on."""
    failure = Failure()
    match closing.event_type:
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
            completed = closing.workflow_execution_completed_event_attributes
            payloads = completed.result.payloads
            return payloads[0] if payloads else None
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
            failed = closing.workflow_execution_failed_event_attributes
            return failed.failure
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
            canceled = closing.workflow_execution_canceled_event_attributes
            failure.message = "operation canceled"
            failure.canceled_failure_info.SetInParent()
            if canceled.HasField("details"):
                failure.canceled_failure_info.details.CopyFrom(canceled.details)
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
            failure.message = "operation terminated"
            failure.terminated_failure_info.SetInParent()
        case _:
            failure.message = "operation exceeded internal timeout"
            failure.timeout_failure_info.SetInParent()
    return failure


async def _operation_of(
    context: Context, connection: Connection, entry: Entry
) -> NexusOperation:
    (scheduled,) = entry.events
    wanted = scheduled.nexus_operation_scheduled_event_attributes
    endpoint = await operations.hold_endpoint(
        connection, context.database, wanted.endpoint_id
    )
    queue = "" if endpoint is None else endpoint.spec.target.worker.task_queue
    return NexusOperation(
        entry.workflow_uuid, queue, scheduled, nexus.pending(scheduled)
    )


def _no_endpoint(operation: NexusOperation) -> Failure:
    failure = Failure(message="endpoint not registered")
    failure.nexus_handler_failure_info.type = "NOT_FOUND"
    return failure


def _to_start(context: Context, entry: Entry) -> Link:
    """The link to the first event of the run that an entry comes from."""
    link = Link()
    found = link.workflow_event
    found.namespace = context.namespace
    found.workflow_id = ids.workflow_id_of(entry.workflow_uuid)
    found.run_id = ids.run_id_of(entry.workflow_uuid)
    found.event_ref.event_id = 1
    found.event_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    return link


async def _tell(
    context: Context, connection: Connection, calls: NexusCalls
) -> dict[str, Any] | None:
    """Tell an operation's news to its caller.

    Returns:
        The run that was told; None if it is closed, or no run asked for it.
    """
    if not calls.news:
        return None
    operation = calls.operation
    if operation.standalone:
        await standalone_operations.note(
            connection,
            context.database,
            operation.key,
            news=news_of(calls.news),
            info=operation.info if calls.over else None,
        )
        return None
    uuid = operation.workflow_uuid
    run = await inboxes.send_in(
        connection,
        context.database,
        ids.workflow_id_of(uuid),
        Message(_message_id(operation, calls.news), list(calls.news)),
        run_id=ids.run_id_of(uuid),
    )
    return run if run is not None and run["inbox"] is not None else None


def _message_id(operation: NexusOperation, news: Sequence[HistoryEvent]) -> str:
    return f"nexus::{operation.scheduled.event_id}::{int(news[-1].event_type)}"


def _hint(context: Context, operation: NexusOperation) -> None:
    if operation.due_at is not None:
        context.around.nexus_due(operation.task_queue, operation.due_at)
