"""The eight RPCs by which operators pause, unpause, reset and change activities.

Each exists twice. The older ones mean activities of a run by id, by type or all of
them; the newer ones mean one, which may also be an activity of its own.
"""

from __future__ import annotations

import uuid
from typing import Any

from temporalio.api.workflowservice import v1
from temporalio.service import RPCError, RPCStatusCode

from dbosify._model import limits
from dbosify._model.activity import ActivityRow
from dbosify._service import activity_options, errors, validate
from dbosify._service.context import Context
from dbosify._service.operating import (
    Change,
    Which,
    operate,
    original_options,
    pausing,
    resetting,
    restoring,
    unpausing,
)


async def pause_activity(
    context: Context, request: v1.PauseActivityRequest
) -> v1.PauseActivityResponse:
    """Let no attempt of activities begin."""
    workflow_id, run_id, which = _target(request)
    change = pausing(validate.clean(request.identity), validate.clean(request.reason))
    await operate(context, workflow_id, run_id, which, change)
    return v1.PauseActivityResponse()


async def unpause_activity(
    context: Context, request: v1.UnpauseActivityRequest
) -> v1.UnpauseActivityResponse:
    """Let attempts of activities begin again."""
    workflow_id, run_id, which = _target(request)
    change = unpausing(
        attempts=request.reset_attempts,
        heartbeat=request.reset_heartbeat,
        jitter=request.jitter,
    )
    await operate(context, workflow_id, run_id, which, change)
    return v1.UnpauseActivityResponse()


async def reset_activity(
    context: Context, request: v1.ResetActivityRequest
) -> v1.ResetActivityResponse:
    """Let activities begin anew."""
    workflow_id, run_id, which = _target(request)
    change = await _reset(
        context, request, workflow_id, run_id, heartbeat=request.reset_heartbeat
    )
    await operate(context, workflow_id, run_id, which, change)
    return v1.ResetActivityResponse()


async def update_activity_options(
    context: Context, request: v1.UpdateActivityOptionsRequest
) -> v1.UpdateActivityOptionsResponse:
    """Give activities other options."""
    workflow_id, run_id, which = _target(request)
    change = await _options(context, request, workflow_id, run_id, strict=False)
    rows = await operate(context, workflow_id, run_id, which, change)
    response = v1.UpdateActivityOptionsResponse()
    for row in rows[:1]:
        response.activity_options.CopyFrom(activity_options.shown(row))
    return response


async def pause_activity_execution(
    context: Context, request: v1.PauseActivityExecutionRequest
) -> v1.PauseActivityExecutionResponse:
    """Let no attempt of an activity begin."""
    run_id = _check(request)
    which = _one(request)
    pause = pausing(validate.clean(request.identity), validate.clean(request.reason))

    def change(row: ActivityRow, now: float) -> bool:
        if row.progress.pause is not None:
            raise _precondition("activity is already paused")
        return pause(row, now)

    await operate(context, request.workflow_id, run_id, which, change)
    return v1.PauseActivityExecutionResponse()


async def unpause_activity_execution(
    context: Context, request: v1.UnpauseActivityExecutionRequest
) -> v1.UnpauseActivityExecutionResponse:
    """Let attempts of an activity begin again."""
    run_id = _check(request)
    change = unpausing(attempts=False, heartbeat=False, jitter=request.jitter)
    await operate(context, request.workflow_id, run_id, _one(request), change)
    return v1.UnpauseActivityExecutionResponse()


async def reset_activity_execution(
    context: Context, request: v1.ResetActivityExecutionRequest
) -> v1.ResetActivityExecutionResponse:
    """Let an activity begin anew."""
    run_id = _check(request)
    which, workflow_id = _one(request), request.workflow_id
    change = await _reset(
        context, request, workflow_id, run_id, heartbeat=request.reset_heartbeat
    )
    await operate(context, workflow_id, run_id, which, change)
    return v1.ResetActivityExecutionResponse()


async def update_activity_execution_options(
    context: Context, request: v1.UpdateActivityExecutionOptionsRequest
) -> v1.UpdateActivityExecutionOptionsResponse:
    """Give an activity other options."""
    run_id = _check(request)
    _need_options(request)
    which, workflow_id = _one(request), request.workflow_id
    change = await _options(context, request, workflow_id, run_id, strict=True)
    rows = await operate(context, workflow_id, run_id, which, change)
    response = v1.UpdateActivityExecutionOptionsResponse()
    for row in rows:
        response.activity_options.CopyFrom(activity_options.shown(row))
    return response


# What the requests say.


def _target(request: Any) -> tuple[str, str | None, Which]:
    """Which activities an older request means."""
    execution = request.execution
    if not execution.workflow_id:
        raise errors.invalid("WorkflowId is not set on request.")
    if execution.run_id and not _is_uuid(execution.run_id):
        raise errors.invalid("RunId is not valid UUID.")
    which = Which()
    match request.WhichOneof("activity"):
        case "id" if request.id:
            which = Which(activity_id=request.id)
        case "type" if request.type:
            which = Which(activity_type=request.type)
        case "unpause_all" | "match_all":
            which = Which(all=True)
        case _:
            raise errors.invalid(
                "Either Activity.Id or Activity.Type should be set on request."
            )
    return validate.clean(execution.workflow_id), execution.run_id or None, which


def _check(request: Any) -> str | None:
    """Check what all newer requests have; returns the run's id."""
    if not request.activity_id:
        raise errors.invalid("activity ID is required")
    if request.run_id and not _is_uuid(request.run_id):
        raise errors.invalid("invalid run id: must be a valid UUID")
    length = len(request.request_id.encode())
    if length > limits.current.id_bytes:
        raise errors.invalid(
            f"request ID exceeds length limit. Length={length}"
            f" Limit={limits.current.id_bytes}"
        )
    validate.clean(request.workflow_id)
    return request.run_id or None


def _one(request: Any) -> Which:
    if not request.workflow_id:
        raise errors.not_found(f"activity not found for ID: {request.activity_id}")
    return Which(activity_id=request.activity_id)


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _precondition(message: str) -> RPCError:
    return errors.error(RPCStatusCode.FAILED_PRECONDITION, message)


async def _reset(
    context: Context,
    request: Any,
    workflow_id: str,
    run_id: str | None,
    *,
    heartbeat: bool,
) -> Change:
    original = None
    if request.restore_original_options:
        original = await original_options(context, workflow_id, run_id)
    return resetting(
        heartbeat=heartbeat,
        keep_paused=request.keep_paused,
        jitter=request.jitter,
        original=original,
    )


def _need_options(request: Any) -> None:
    if request.restore_original:
        if request.update_mask.paths:
            raise errors.invalid("Both UpdateMask and RestoreOriginal are provided")
        return
    if not request.HasField("activity_options"):
        raise errors.invalid("ActivityOptions are not provided")
    if not request.HasField("update_mask"):
        raise errors.invalid("UpdateMask is not provided")


async def _options(
    context: Context,
    request: Any,
    workflow_id: str,
    run_id: str | None,
    *,
    strict: bool,
) -> Change:
    _need_options(request)
    if request.restore_original:
        return restoring(await original_options(context, workflow_id, run_id))
    paths = activity_options.paths_of(request.update_mask.paths)
    for path in paths if strict else ():
        if path not in activity_options.KNOWN:
            raise errors.invalid(f'unsupported update_mask path: "{path}"')
    return activity_options.changing(request.activity_options, paths)
