"""New options for a run: which of them a mask names, and what they become."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

from temporalio.api.common.v1 import Priority
from temporalio.api.history.v1 import WorkflowExecutionOptionsUpdatedEventAttributes
from temporalio.api.workflow.v1 import WorkflowExecutionOptions

from dbosify._model.protos import EventType, HistoryEvent
from dbosify._store.inboxes import Message

from . import errors, validate
from .activity_options import paths_of
from .context import Context
from .ending import find_run
from .sending import send
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
        if path not in _KNOWN:
            raise errors.invalid(
                "error parsing UpdateMask: proto:\N{NO-BREAK SPACE}invalid path"
                f' "{path}" for message'
                ' "temporal.api.workflow.v1.WorkflowExecutionOptions"'
            )
    validate.priority(options.priority)
    if options.HasField("versioning_override"):
        raise errors.unimplemented("versioning overrides are not built yet")
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
    result = WorkflowExecutionOptions()
    present = priority_of(events)
    if present is not None:
        result.priority.CopyFrom(present)
    if not paths:
        return result
    for path in paths:
        _set(result, options, path)
    updated = WorkflowExecutionOptionsUpdatedEventAttributes(
        unset_versioning_override=True, identity=identity
    )
    if result.HasField("priority"):
        updated.priority.CopyFrom(result.priority)
    event = HistoryEvent(
        event_time=context.around.now(),
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
        worker_may_ignore=True,
        workflow_execution_options_updated_event_attributes=updated,
    )
    message = Message(f"options::{uuid.uuid4()}", [event], quiet=True)
    sent = await send(context, workflow_id, run["run_id"], message)
    if sent is None or sent["inbox"] is None:
        raise errors.already_completed()
    return result


def _set(
    result: WorkflowExecutionOptions, options: WorkflowExecutionOptions, path: str
) -> None:
    whole, _, part = path.partition(".")
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
