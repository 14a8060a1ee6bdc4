"""New options for a run: which of them a mask names, and what they become."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from temporalio.api.common.v1 import Priority
from temporalio.api.history.v1 import WorkflowExecutionOptionsUpdatedEventAttributes
from temporalio.api.workflow.v1 import WorkflowExecutionOptions

from dbosify._model.activity import rank
from dbosify._model.protos import EventType, HistoryEvent, Timestamp
from dbosify._model.versioning import Versioning
from dbosify._store import inboxes, routing
from dbosify._store.inboxes import Message

from . import errors, overrides, validate
from .activity_options import paths_of
from .context import Context
from .ending import find_run
from .whole_history import events_of

_PARTS = ("priority_key", "fairness_key", "fairness_weight")
_KNOWN = frozenset(
    {
        "priority",
        *(f"priority.{part}" for part in _PARTS),
        "versioning_override",
        "time_skipping_config",
    }
)


def check(options: WorkflowExecutionOptions, paths: Sequence[str]) -> list[str]:
    """Check a request for new options; returns the paths that its mask names.

    Raises:
        RPCError: with the server's text for the first thing wrong.
    """
    named = paths_of(paths)
    for path in named:
        if path.startswith("versioning_override."):
            raise errors.invalid(
                "error applying update_options: versioning_override doesn't support"
                " partial updates"
            )
        if path not in _KNOWN:
            raise errors.invalid(
                "error parsing UpdateMask: proto:\N{NO-BREAK SPACE}invalid path"
                f' "{path}" for message'
                ' "temporal.api.workflow.v1.WorkflowExecutionOptions"'
            )
    validate.priority(options.priority)
    if options.HasField("versioning_override"):
        overrides.settled(options.versioning_override)
    return named


async def change_options(
    context: Context,
    workflow_id: str,
    run_id: str | None,
    options: WorkflowExecutionOptions,
    paths: Sequence[str],
    *,
    identity: str,
) -> WorkflowExecutionOptions:
    """Give an open run other options.

    Args:
        context: of the request.
        workflow_id: of the run.
        run_id: of the run; the latest if None.
        options: of the request.
        paths: which of them, checked.
        identity: of whoever asks.

    Returns:
        All options, as they are now.

    Raises:
        RPCError: there is no such run, or it is closed.
    """
    run = await find_run(context, workflow_id, run_id)
    if run is None:
        raise errors.workflow_not_found(workflow_id, run_id or "")
    if run["close_time"] is not None:
        raise errors.already_completed()
    events, _ = await events_of(context, run)
    result, event = await _change(
        context, run, events, options, paths, identity=identity
    )
    if event is not None:
        await _send(context, run, event, versioning_of([*events, event]))
    return result


async def changed_options(
    context: Context,
    run: dict[str, Any],
    events: Sequence[HistoryEvent],
    options: WorkflowExecutionOptions,
    paths: Sequence[str],
    *,
    identity: str,
) -> list[HistoryEvent]:
    """What history says when a run of that history gets other options, if it does.

    Raises:
        RPCError: they make no sense for the run.
    """
    _, event = await _change(context, run, events, options, paths, identity=identity)
    return [] if event is None else [event]


async def _change(
    context: Context,
    run: dict[str, Any],
    events: Sequence[HistoryEvent],
    options: WorkflowExecutionOptions,
    paths: Sequence[str],
    *,
    identity: str,
) -> tuple[WorkflowExecutionOptions, HistoryEvent | None]:
    """All options as they are to be, and the event of the change, if it is one."""
    versioning = versioning_of(events)
    present = _options(events, versioning)
    result = WorkflowExecutionOptions()
    result.CopyFrom(present)
    for path in paths:
        _set(result, options, path)
    if result.HasField("versioning_override"):
        modern = overrides.settled(result.versioning_override)
        chosen = overrides.for_run(modern, versioning, run["workflow_id"])
        await overrides.check_served(context.database, chosen, run["task_queue"])
        result.versioning_override.CopyFrom(chosen)
    if result == present:
        return result, None
    return result, _updated_event(result, context.around.now(), identity)


def _updated_event(
    options: WorkflowExecutionOptions, now: Timestamp, identity: str
) -> HistoryEvent:
    """What history says of a run's new options."""
    updated = WorkflowExecutionOptionsUpdatedEventAttributes(
        unset_versioning_override=not options.HasField("versioning_override"),
        identity=identity,
    )
    if options.priority.ByteSize():
        updated.priority.CopyFrom(options.priority)
    if options.HasField("versioning_override"):
        updated.versioning_override.CopyFrom(options.versioning_override)
    return HistoryEvent(
        event_time=now,
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
        worker_may_ignore=True,
        workflow_execution_options_updated_event_attributes=updated,
    )


async def _send(
    context: Context, run: dict[str, Any], event: HistoryEvent, versioning: Versioning
) -> None:
    """Tell the run, and say where it belongs now, in one transaction."""
    message = Message(f"options::{uuid.uuid4()}", [event], quiet=True)
    async with context.database.transaction() as connection:
        sent = await inboxes.send_in(
            connection,
            context.database,
            run["workflow_id"],
            message,
            run_id=run["run_id"],
        )
        if sent is None or sent["inbox"] is None:
            raise errors.already_completed()
        updated = event.workflow_execution_options_updated_event_attributes
        await routing.change(
            connection,
            context.database,
            run["workflow_uuid"],
            versioning=versioning,
            priority=rank(updated.priority),
        )
    context.around.messaged(run["workflow_uuid"])
    if sent["dbos_status"] == "ENQUEUED":
        context.around.run_queued(run["task_queue"])


def _options(
    events: Iterable[HistoryEvent], versioning: Versioning
) -> WorkflowExecutionOptions:
    """A run's options as they are."""
    present = WorkflowExecutionOptions(versioning_override=versioning.override)
    present.priority.SetInParent()
    priority = priority_of(events)
    if priority is not None:
        present.priority.CopyFrom(priority)
    return present


def versioning_of(events: Iterable[HistoryEvent]) -> Versioning:
    """Where a run belongs, as its history has it."""
    versioning = Versioning()
    for event in events:
        versioning.learn(event)
    return versioning


def _set(
    result: WorkflowExecutionOptions, options: WorkflowExecutionOptions, path: str
) -> None:
    whole, _, part = path.partition(".")
    if whole == "versioning_override":
        result.ClearField("versioning_override")
        if options.HasField("versioning_override"):
            result.versioning_override.CopyFrom(options.versioning_override)
    if whole != "priority":
        return
    if part:
        setattr(result.priority, part, getattr(options.priority, part))
    elif options.HasField("priority"):
        result.priority.CopyFrom(options.priority)
    else:
        result.ClearField("priority")


def priority_of(events: Iterable[HistoryEvent]) -> Priority | None:
    """A run's priority, as its history has it: at the start, or changed later."""
    result = None
    for event in events:
        name = event.WhichOneof("attributes")
        if name in (
            "workflow_execution_started_event_attributes",
            "workflow_execution_options_updated_event_attributes",
        ):
            attributes = getattr(event, name)
            if attributes.HasField("priority"):
                result = attributes.priority
    return result
