"""The eight RPCs by which an activity is spoken for from outside of its worker.

Heartbeat, completion, failure and cancellation, each with the token of an attempt or
with the ids of workflow, run and activity; of an activity that a client started, the
workflow id is empty and the run is its own. The attempt machine decides, and its row is
written as whoever runs an attempt would; the row's token says who was first.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from temporalio.api.workflowservice import v1

from dbosify._model import ids
from dbosify._model.activity import ActivityRow, AttemptState
from dbosify._model.protos import Failure, Payloads
from dbosify._model.standalone import NAMES
from dbosify._service import errors, settling, validate
from dbosify._service.context import Attempt, Context
from dbosify._service.ending import find_run
from dbosify._store import activities, standalone

Change = Callable[[Attempt, float], None]

_STARTED = AttemptState.STARTED


@dataclass(frozen=True, slots=True)
class _Name:
    """How a request names an activity of a run, or one without a workflow."""

    workflow_id: str
    run_id: str | None
    activity_id: str | None = None
    task_id: str | None = None
    token: str | None = None

    def gone(self) -> Exception:
        """What a request is told whose attempt is not under way."""
        if not self.workflow_id:
            return errors.activity_not_found(self.activity_id or "")
        if self.task_id is not None:
            return errors.attempt_gone()
        return errors.activity_not_pending(self.activity_id or "")


async def record_activity_task_heartbeat(
    context: Context, request: v1.RecordActivityTaskHeartbeatRequest
) -> v1.RecordActivityTaskHeartbeatResponse:
    """Note that an attempt is alive; tells whether its end is asked for."""
    told = await _beat(context, _by_token(request.task_token), request)
    return v1.RecordActivityTaskHeartbeatResponse(**told)


async def record_activity_task_heartbeat_by_id(
    context: Context, request: v1.RecordActivityTaskHeartbeatByIdRequest
) -> v1.RecordActivityTaskHeartbeatByIdResponse:
    """The same, by ids."""
    told = await _beat(context, _by_id(request), request)
    return v1.RecordActivityTaskHeartbeatByIdResponse(**told)


async def respond_activity_task_completed(
    context: Context, request: v1.RespondActivityTaskCompletedRequest
) -> v1.RespondActivityTaskCompletedResponse:
    """Complete an attempt."""
    await _change(context, _by_token(request.task_token), _completion(request))
    return v1.RespondActivityTaskCompletedResponse()


async def respond_activity_task_completed_by_id(
    context: Context, request: v1.RespondActivityTaskCompletedByIdRequest
) -> v1.RespondActivityTaskCompletedByIdResponse:
    """Complete an activity, also one that nobody works on."""
    name = _by_id(request)
    await _change(context, name, _completion(request), starter=request.identity)
    return v1.RespondActivityTaskCompletedByIdResponse()


async def respond_activity_task_failed(
    context: Context, request: v1.RespondActivityTaskFailedRequest
) -> v1.RespondActivityTaskFailedResponse:
    """Fail an attempt; it is tried again if the policy says so."""
    name = _by_token(request.task_token)
    if request.HasField("failure") and not request.failure.HasField(
        "application_failure_info"
    ):
        raise errors.invalid("Failure must have ApplicationFailureInfo.")
    failure = await _fail(context, name, request)
    return v1.RespondActivityTaskFailedResponse(failures=[failure] if failure else [])


async def respond_activity_task_failed_by_id(
    context: Context, request: v1.RespondActivityTaskFailedByIdRequest
) -> v1.RespondActivityTaskFailedByIdResponse:
    """The same, by ids, with any failure."""
    failure = await _fail(context, _by_id(request), request)
    return v1.RespondActivityTaskFailedByIdResponse(
        failures=[failure] if failure else []
    )


async def respond_activity_task_canceled(
    context: Context, request: v1.RespondActivityTaskCanceledRequest
) -> v1.RespondActivityTaskCanceledResponse:
    """Confirm that an attempt ended because that was asked for."""
    await _change(context, _by_token(request.task_token), _cancellation(request))
    return v1.RespondActivityTaskCanceledResponse()


async def respond_activity_task_canceled_by_id(
    context: Context, request: v1.RespondActivityTaskCanceledByIdRequest
) -> v1.RespondActivityTaskCanceledByIdResponse:
    """The same, by ids."""
    await _change(context, _by_id(request), _cancellation(request))
    return v1.RespondActivityTaskCanceledByIdResponse()


# What the requests want of the attempt.


async def _beat(context: Context, name: _Name, request: Any) -> dict[str, bool]:
    """Note a heartbeat; returns the fields of the response."""
    details = request.details if request.HasField("details") else None

    def beat(machine: Attempt, now: float) -> None:
        machine.beat(now, details, request.identity)

    row = await _change(context, name, beat)
    progress = row.progress
    return {
        "cancel_requested": progress.cancel_requested or row.state is not _STARTED,
        "activity_paused": progress.pause is not None,
        "activity_reset": progress.reset_requested,
    }


def _completion(request: Any) -> Change:
    result: Payloads | None = request.result if request.HasField("result") else None

    def complete(machine: Attempt, now: float) -> None:
        machine.complete(now, result, request.identity)

    return complete


async def _fail(context: Context, name: _Name, request: Any) -> Failure | None:
    """Fail an attempt; returns the failure that took the place of a bigger one."""

    def fail(machine: Attempt, now: float) -> None:
        if request.HasField("last_heartbeat_details"):
            machine.beat(now, request.last_heartbeat_details, request.identity)
        if machine.attempt_state is _STARTED:
            machine.fail(now, request.failure, request.identity)

    row = await _change(context, name, fail)
    if row.closing is None:
        return None
    failure = row.closing[-1].activity_task_failed_event_attributes.failure
    return None if failure == request.failure else failure


def _cancellation(request: Any) -> Change:
    details: Payloads | None = request.details if request.HasField("details") else None

    def cancel(machine: Attempt, now: float) -> None:
        if not machine.progress.cancel_requested:
            raise errors.invalid(
                "unable to mark activity as canceled without activity being request"
                " canceled first"
            )
        machine.canceled(now, details, request.identity)

    return cancel


# Finding and changing it.


def _by_token(token: bytes) -> _Name:
    if not token:
        raise errors.invalid("Task token not set on request.")
    try:
        task_id, secret = json.loads(token)
        if not ids.is_task_of_run(str(task_id)):
            activity_id, run_id = ids.standalone_of(str(task_id))
            return _Name("", run_id, validate.clean(activity_id), task_id, secret)
        workflow_uuid = ids.workflow_uuid_of_task(str(task_id))
    except (ValueError, TypeError):
        raise errors.invalid("Error deserializing task token.") from None
    return _Name(
        validate.clean(ids.workflow_id_of(workflow_uuid)),
        ids.run_id_of(workflow_uuid),
        task_id=task_id,
        token=secret,
    )


def _by_id(request: Any) -> _Name:
    if not request.activity_id:
        raise errors.invalid("ActivityId is not set on request.")
    if request.run_id:
        try:
            uuid.UUID(request.run_id)
        except ValueError:
            raise errors.invalid("RunId is not valid UUID.") from None
    return _Name(
        validate.clean(request.workflow_id),
        request.run_id or None,
        activity_id=validate.clean(request.activity_id),
    )


async def _change(
    context: Context, name: _Name, change: Change, *, starter: str | None = None
) -> ActivityRow:
    """Let the attempt machine take a change, and store what it comes to.

    Args:
        context: of the request.
        name: of the activity.
        change: what is done to the attempt.
        starter: if given, and no attempt is under way, one of this identity begins
            and ends at once.

    Raises:
        RPCError: there is no such activity, or no attempt of that name.
    """
    while True:
        row = await _find(context, name, starts=starter is not None)
        machine = context.around.attempt(row)
        now = context.around.now().ToNanoseconds() / 1e9
        if row.state is not _STARTED:
            if starter is None:
                raise errors.attempt_gone() if name.workflow_id else name.gone()
            if row.state is AttemptState.BACKOFF:
                machine.due(now)
            machine.start(now, identity=starter, token=str(uuid.uuid4()))
        change(machine, now)
        row.state = machine.attempt_state
        row.closing = machine.closing
        row.deadline = machine.deadline
        if await _store(context, row):
            return row
        # Somebody else was faster: what is left for us, the row says now.


async def _store(context: Context, row: ActivityRow) -> bool:
    if row.state is not _STARTED:
        return await settling.store(context.database, context.around, row)
    call = activities.beat(row)
    rows = await context.database.fetch(call.name, call.params)
    return bool(rows)


async def _find(context: Context, name: _Name, *, starts: bool) -> ActivityRow:
    if not name.workflow_id:
        return await _find_standalone(context, name, starts=starts)
    run = await find_run(context, name.workflow_id, name.run_id)
    if run is None:
        raise errors.workflow_not_found(name.workflow_id, name.run_id or "")
    row = await activities.find(
        context.database,
        run["run_id"],
        task_id=name.task_id,
        activity_id=name.activity_id,
    )
    if row is None or (name.token is not None and row.token != name.token):
        if run["close_time"] is not None:
            raise errors.already_completed()
        raise name.gone()
    return row


async def _find_standalone(
    context: Context, name: _Name, *, starts: bool
) -> ActivityRow:
    activity_id = name.activity_id or ""
    found = await standalone.find(context.database, activity_id, name.run_id)
    row = None if found is None else standalone.attempt(found)
    if found is not None and row is None and starts:
        raise errors.failed_precondition(
            f"invalid transition from {NAMES[found['status']]}"
        )
    if row is None or (name.token is not None and row.token != name.token):
        raise name.gone()
    return row
