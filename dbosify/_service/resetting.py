"""Resetting a run: another one takes its place that begins as it did, up to a point.

The run that the workflow id stands for now is terminated and the new one started in one
transaction. The run that is gone back in may be that one or any before it, open or
closed; it stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from temporalio.api.workflow.v1 import WorkflowExecutionOptions

from dbosify._model import clock, ids
from dbosify._model.activity import ActivityRow, AttemptState, Progress
from dbosify._model.protos import HistoryEvent, UpdateRequest
from dbosify._model.reset import BadPoint, Fork, Reset, check_point, fork
from dbosify._store import resets, runs, updates
from dbosify._store.engine import Connection
from dbosify._store.resets import ForkRow, Steps
from dbosify._store.runs import Ending

from . import errors
from .context import Context
from .ending import end_in, find_run, tell_ended, termination
from .run_ids import new_run_id
from .run_options import changed_options
from .updating import sent_again
from .whole_history import events_of

_RESETTER = "history-resetter"


@dataclass(frozen=True, slots=True)
class Order:
    """What a request wants.

    Attributes:
        workflow_id: Of the workflow.
        run_id: The run that is gone back in; the latest if None.
        finish_event_id: Up to where; see `Reset`.
        reason: Of the reset.
        request_id: Of the request.
        signals: Whether later signals are sent again.
        updates: Whether later updates are.
        options: Those that the new run gets, and which of them.
        identity: Of whoever asks for them.
    """

    workflow_id: str
    run_id: str | None
    finish_event_id: int
    reason: str
    request_id: str
    signals: bool = True
    updates: bool = True
    options: tuple[WorkflowExecutionOptions, Sequence[str]] | None = None
    identity: str = ""


class _Overtaken(Exception):
    """Somebody else ended or started a run of the id; look again."""


@dataclass(frozen=True, slots=True)
class _Done:
    """What is committed, and whom it concerns."""

    run_id: str
    latest: str
    ending: Ending | None
    queues: frozenset[str]


async def reset_run(context: Context, order: Order) -> str:
    """Reset a workflow.

    Returns:
        The id of the new run.

    Raises:
        RPCError: there is no such run, or it cannot be reset there.
    """
    while True:
        base = await find_run(context, order.workflow_id, order.run_id)
        latest = await find_run(context, order.workflow_id, None)
        if base is None or latest is None:
            raise errors.workflow_not_found(order.workflow_id, order.run_id or "")
        try:
            # What was sent and is not journaled yet has its number already.
            shown, _ = await events_of(context, base)
            check_point(shown, order.finish_event_id)
            async with context.database.transaction() as connection:
                done = await _reset(context, connection, order, base, latest)
        except _Overtaken:
            continue
        except BadPoint as error:
            raise errors.invalid(str(error)) from None
        if done.ending is not None:
            tell_ended(context, done.latest, done.ending)
        for queue in done.queues:
            context.around.run_queued(queue)
        return done.run_id


async def _reset(
    context: Context,
    connection: Connection,
    order: Order,
    base: dict[str, Any],
    latest: dict[str, Any],
) -> _Done:
    database = context.database
    before = await resets.steps_of(connection, database, base["workflow_uuid"])
    now = context.around.now()
    run_id = new_run_id(clock.milliseconds(now))
    wanted = Reset(
        order.finish_event_id,
        order.reason,
        base["run_id"],
        run_id,
        signals=order.signals,
        updates=order.updates,
    )
    # Refused before anything is ended: the end itself would be one more event.
    asked = fork(before.events, wanted, now=now)
    if order.options is not None:
        changes = await changed_options(
            context,
            base,
            [*asked.kept, *asked.added],
            *order.options,
            identity=order.identity,
        )
        wanted = replace(wanted, changes=changes)
    ending = await _end(context, connection, latest, order.reason)
    steps = await resets.steps_of(connection, database, base["workflow_uuid"])
    later = await _later(context, connection, base, latest)
    new = fork(steps.events, wanted, now=now, later=later)
    uuid = ids.workflow_uuid(order.workflow_id, run_id)
    row = _row(base, latest, uuid, order.request_id, steps, new)
    if not await resets.fork(connection, database, row):
        raise _Overtaken
    queues = await _begin_activities(context, connection, row, new)
    await _send_updates(context, connection, row, new.updates)
    return _Done(
        run_id,
        latest["workflow_uuid"],
        ending,
        frozenset({base["task_queue"], *queues}),
    )


async def _end(
    context: Context, connection: Connection, latest: dict[str, Any], reason: str
) -> Ending | None:
    """Terminate the latest run if it is open."""
    if latest["close_time"] is not None:
        return None
    ending = await end_in(
        context,
        connection,
        latest["workflow_uuid"],
        lambda _: replace(
            termination(context, reason=reason, identity=_RESETTER), replaced=True
        ),
    )
    if ending is None:
        raise _Overtaken
    return ending


async def _later(
    context: Context,
    connection: Connection,
    base: dict[str, Any],
    latest: dict[str, Any],
) -> list[HistoryEvent]:
    """The events of the runs that continued the base, up to the latest."""
    events: list[HistoryEvent] = []
    run: dict[str, Any] | None = base
    while run is not None and run["run_id"] != latest["run_id"] and run["next_run_id"]:
        run = await runs.find_in(
            connection, context.database, base["workflow_id"], run["next_run_id"]
        )
        if run is not None:
            steps = await resets.steps_of(
                connection, context.database, run["workflow_uuid"]
            )
            events.extend(steps.events)
    return events


def _row(
    base: dict[str, Any],
    latest: dict[str, Any],
    workflow_uuid: str,
    request_id: str,
    steps: Steps,
    new: Fork,
) -> ForkRow:
    step_id, last = steps.whole_before(len(new.kept) + 1)
    return ForkRow(
        base=base["workflow_uuid"],
        workflow_uuid=workflow_uuid,
        run_number=latest["run_number"] + 1,
        request_id=request_id,
        first=steps.first,
        step_id=step_id,
        events=[*new.kept[last:], *new.added],
        memo=new.memo,
        search_attributes=new.search_attributes,
        versioning=new.versioning,
    )


async def _begin_activities(
    context: Context, connection: Connection, row: ForkRow, new: Fork
) -> set[str]:
    """Queue what was under way at the point; its time counts from now.

    Returns:
        The queues that hold it.
    """
    if not new.activities:
        return set()
    now = new.added[-1].event_time
    scheduled, deadlines, queues = [], [], set()
    for event in new.activities.values():
        again = HistoryEvent()
        again.CopyFrom(event)
        again.event_time.CopyFrom(now)
        scheduled.append(again)
        deadline = context.around.attempt(_fresh(row, again)).deadline
        if again.event_id in new.cancelled:
            deadline = clock.seconds(now)
            context.around.wake_at(deadline)
        deadlines.append(deadline)
        options = again.activity_task_scheduled_event_attributes
        queues.add(ids.activity_queue(options.task_queue.name))
    call = resets.queue_activities(
        row.workflow_uuid, scheduled, deadlines, cancelled=new.cancelled
    )
    await context.database.run(connection, call.name, call.params)
    return queues


def _fresh(row: ForkRow, scheduled: HistoryEvent) -> ActivityRow:
    started = row.first[0].workflow_execution_started_event_attributes
    return ActivityRow(
        task_id=ids.activity_task_id(row.workflow_uuid, scheduled.event_id),
        workflow_uuid=row.workflow_uuid,
        workflow_id=ids.workflow_id_of(row.workflow_uuid),
        run_id=ids.run_id_of(row.workflow_uuid),
        workflow_type=started.workflow_type.name,
        scheduled=scheduled,
        progress=Progress(1, clock.seconds(scheduled.event_time)),
        state=AttemptState.SCHEDULED,
        executor_id=None,
        token=None,
        eager=False,
    )


async def _send_updates(
    context: Context,
    connection: Connection,
    row: ForkRow,
    requests: Sequence[UpdateRequest],
) -> None:
    for request in requests:
        await updates.admit_in(
            connection,
            context.database,
            row.workflow_uuid,
            sent_again(context, request),
        )
