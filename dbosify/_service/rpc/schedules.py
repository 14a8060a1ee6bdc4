"""The RPCs that make, change and delete schedules.

Each takes the schedule's row, lets it do what is due, applies the change and what
follows from it, in one transaction: the answer comes when all of that is done.
"""

from __future__ import annotations

from datetime import datetime, timezone

from temporalio.api.errordetails.v1 import WorkflowExecutionAlreadyStartedFailure
from temporalio.api.schedule.v1 import ScheduleInfo, SchedulePatch
from temporalio.api.workflowservice.v1 import (
    CreateScheduleRequest,
    CreateScheduleResponse,
    DeleteScheduleRequest,
    DeleteScheduleResponse,
    PatchScheduleRequest,
    PatchScheduleResponse,
    UpdateScheduleRequest,
    UpdateScheduleResponse,
)
from temporalio.service import RPCStatusCode

from dbosify._model import clock, limits
from dbosify._model.protos import SearchAttributes
from dbosify._model.schedules.scheduler import Record, Scheduler
from dbosify._service import errors, schedule_checks, validate
from dbosify._service.attributes import settled
from dbosify._service.context import Context
from dbosify._service.firing import Aftermath, Change, advance, times
from dbosify._service.schedule_checks import alive, conflict_token
from dbosify._store import runs, schedules
from dbosify._store.schedules import ScheduleRow
from dbosify._store.search_attributes import known_among

_LONGEST_NOTES = 1000


async def create_schedule(
    context: Context, request: CreateScheduleRequest
) -> CreateScheduleResponse:
    """Make a schedule; what its initial patch asks for happens at once."""
    schedule_checks.new_schedule_id(request.schedule_id)
    if not request.request_id:
        raise errors.invalid("RequestId is not set on request.")
    validate.length(request.request_id, "RequestId")
    await _settle_attributes(context, request)
    schedule = schedule_checks.normalised(request.schedule)
    if request.memo.ByteSize() > limits.current.memo_bytes:
        raise errors.invalid("Memo size exceeds limit.")
    now = context.around.now()
    record = Record(
        schedule_checks.schedule_id(request.schedule_id),
        schedule,
        ScheduleInfo(create_time=now),
        processed=clock.nanoseconds(now),
    )
    row = ScheduleRow(
        record,
        request.request_id,
        clock.nanoseconds(now),
        request.memo if request.memo.fields else None,
        runs.typed_search_attributes(request.search_attributes),
    )
    aftermath = None
    async with context.database.transaction() as connection:
        if await schedules.create(connection, context.database, row):
            aftermath = await advance(
                context, connection, row, _patching(request.initial_patch)
            )
    if aftermath is None:
        await _recognise(context, request)
    else:
        _tell(context, aftermath)
    return CreateScheduleResponse(conflict_token=conflict_token(1))


async def _settle_attributes(
    context: Context, request: CreateScheduleRequest | UpdateScheduleRequest
) -> None:
    """Give the search attributes of a schedule and of its action their types.

    Raises:
        RPCError: one is unknown, or its value does not fit its type.
    """
    given = [
        attributes
        for attributes in (
            request.schedule.action.start_workflow.search_attributes,
            request.search_attributes,
        )
        if attributes.indexed_fields
    ]
    names = {name for attributes in given for name in attributes.indexed_fields}
    custom = await known_among(context.database, names)
    for attributes in given:
        attributes.CopyFrom(settled(attributes, custom, context.namespace))


async def _recognise(context: Context, request: CreateScheduleRequest) -> None:
    """Accept a request that is repeated.

    Raises:
        RPCError: another request made the schedule.
    """
    row = await schedules.find(context.database, request.schedule_id)
    if row is None or row.request_id != request.request_id:
        raise errors.error(
            RPCStatusCode.ALREADY_EXISTS,
            f'schedule "{request.schedule_id}" is already registered',
            WorkflowExecutionAlreadyStartedFailure(),
        )


async def update_schedule(
    context: Context, request: UpdateScheduleRequest
) -> UpdateScheduleResponse:
    """Replace a schedule's spec, action, policies and state."""
    schedule_checks.new_schedule_id(request.schedule_id)
    validate.length(request.request_id, "RequestId")
    if not request.schedule.action.HasField("start_workflow"):
        raise errors.invalid("Only StartWorkflow action is supported for schedules")
    # Here, unlike when a schedule is made, the action is looked at before the spec.
    schedule_checks.check_action(request.schedule.action.start_workflow)
    await _settle_attributes(context, request)
    schedule = schedule_checks.normalised(request.schedule)
    if request.HasField("memo"):
        raise schedule_checks.memo_is_fixed()
    schedule_id = schedule_checks.schedule_id(request.schedule_id)
    attributes: SearchAttributes | None = None
    if request.HasField("search_attributes"):
        attributes = request.search_attributes

    async with context.database.transaction() as connection:
        found = await schedules.lock(connection, context.database, schedule_id)
        row = alive(found, schedule_id)
        applies = schedule_checks.may_update(row, request.conflict_token)

        def change(scheduler: Scheduler) -> None:
            if not applies:
                return
            replacement = Record(schedule_id, schedule, ScheduleInfo())
            scheduler.update(schedule, times(context, replacement))
            if attributes is not None:
                row.search_attributes = runs.typed_search_attributes(attributes)

        aftermath = await advance(context, connection, row, change)
    _tell(context, aftermath)
    return UpdateScheduleResponse()


async def patch_schedule(
    context: Context, request: PatchScheduleRequest
) -> PatchScheduleResponse:
    """Trigger, backfill, pause or unpause."""
    if not request.HasField("patch"):
        raise errors.invalid("Patch is not set on request.")
    for notes in (request.patch.pause, request.patch.unpause):
        if len(notes.encode()) > _LONGEST_NOTES:
            raise errors.invalid("Schedule notes exceeds limit.")
    schedule_id = schedule_checks.schedule_id(request.schedule_id)
    async with context.database.transaction() as connection:
        found = await schedules.lock(connection, context.database, schedule_id)
        row = alive(found, schedule_id)
        aftermath = await advance(context, connection, row, _patching(request.patch))
    _tell(context, aftermath)
    return PatchScheduleResponse()


def _patching(patch: SchedulePatch) -> Change:
    def change(scheduler: Scheduler) -> None:
        scheduler.patch(patch)

    return change


async def delete_schedule(
    context: Context, request: DeleteScheduleRequest
) -> DeleteScheduleResponse:
    """Forget a schedule; the workflows it started go on."""
    schedule_id = schedule_checks.schedule_id(request.schedule_id)
    async with context.database.transaction() as connection:
        found = await schedules.lock(connection, context.database, schedule_id)
        row = alive(found, schedule_id)
        row.deleted_at = datetime.fromtimestamp(row.now / 1e9, tz=timezone.utc)
        await schedules.save(connection, context.database, row, next_look=None)
    return DeleteScheduleResponse()


def _tell(context: Context, aftermath: Aftermath) -> None:
    aftermath.tell(context)
    context.around.schedule_changed()
