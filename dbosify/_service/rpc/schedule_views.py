"""The RPCs that show schedules and calculate their times."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import islice

from temporalio.api.errordetails.v1 import QueryFailedFailure
from temporalio.api.schedule.v1 import ScheduleListEntry
from temporalio.api.workflowservice.v1 import (
    CountSchedulesRequest,
    CountSchedulesResponse,
    DescribeScheduleRequest,
    DescribeScheduleResponse,
    ListScheduleMatchingTimesRequest,
    ListScheduleMatchingTimesResponse,
    ListSchedulesRequest,
    ListSchedulesResponse,
)
from temporalio.service import RPCStatusCode

from dbosify._model import clock
from dbosify._model.schedules import spec
from dbosify._model.schedules.scheduler import Scheduler
from dbosify._service import errors, schedule_checks
from dbosify._service.context import Context
from dbosify._service.filter.meaning import Filter, understand_for_schedules
from dbosify._service.firing import times
from dbosify._service.schedule_checks import conflict_token
from dbosify._store import runs, schedules, search_attributes
from dbosify._store.schedules import ScheduleRow

_MOST_TIMES = 1000
_MAX_PAGE = 1000
_FUTURE = 10
_LISTED = 5
_LISTED_SPECS = 10


async def describe_schedule(
    context: Context, request: DescribeScheduleRequest
) -> DescribeScheduleResponse:
    """Everything about a schedule."""
    schedule_id = schedule_checks.schedule_id(request.schedule_id)
    row = await schedules.find(context.database, schedule_id)
    if row is None:
        raise schedule_checks.not_found(schedule_id)
    if row.deleted_at is not None:
        raise errors.not_found("schedule not found")
    record = row.record
    response = DescribeScheduleResponse(
        schedule=record.schedule,
        info=record.info,
        memo=row.memo,
        conflict_token=conflict_token(record.conflict_token),
    )
    response.schedule.spec.CopyFrom(spec.written_out(record.schedule.spec))
    info = response.info
    info.buffer_size = len(record.waiting)
    scheduler = Scheduler(record, times(context, record), row.now)
    info.future_action_times.extend(
        clock.timestamp(at) for at in scheduler.future(_FUTURE)
    )
    open_ones = await schedules.still_running(
        context.database, list(info.running_workflows)
    )
    del info.running_workflows[:]
    info.running_workflows.extend(open_ones)
    if row.search_attributes:
        response.search_attributes.CopyFrom(
            runs.search_attributes_of(row.search_attributes)
        )
    return response


async def list_schedule_matching_times(
    context: Context, request: ListScheduleMatchingTimesRequest
) -> ListScheduleMatchingTimesResponse:
    """The times of a schedule in a range, whether it acts on them or not."""
    schedule_id = schedule_checks.schedule_id(request.schedule_id)
    row = await schedules.find(context.database, schedule_id)
    if row is None:
        raise schedule_checks.not_found(schedule_id)
    if not request.HasField("start_time") or not request.HasField("end_time"):
        raise errors.query_failed("missing or invalid query", QueryFailedFailure())
    firings = times(context, row.record).between(
        clock.nanoseconds(request.start_time), clock.nanoseconds(request.end_time)
    )
    return ListScheduleMatchingTimesResponse(
        start_time=[
            clock.timestamp(firing.at) for firing in islice(firings, _MOST_TIMES)
        ]
    )


async def list_schedules(
    context: Context, request: ListSchedulesRequest
) -> ListSchedulesResponse:
    """A page of the schedules, newest first."""
    meant = await _understood(context, request.query)
    size = request.maximum_page_size
    size = _MAX_PAGE if size <= 0 or size > _MAX_PAGE else size
    before = _decode_token(request.next_page_token)
    rows = await schedules.newest(context.database, meant.condition, size + 1, before)
    response = ListSchedulesResponse(
        schedules=[_entry(context, row) for row in rows[:size]]
    )
    if len(rows) > size:
        last = rows[size - 1].record
        created_at = runs.iso(clock.nanoseconds(last.info.create_time))
        response.next_page_token = json.dumps([created_at, last.schedule_id]).encode()
    return response


def _decode_token(token: bytes) -> tuple[str, str] | None:
    if not token:
        return None
    try:
        created_at, schedule_id = json.loads(token)
        datetime.fromisoformat(created_at)
        return created_at, str(schedule_id)
    except (ValueError, TypeError):
        raise errors.error(
            RPCStatusCode.UNKNOWN, "something went wrong, please retry (bad page token)"
        ) from None


async def _understood(context: Context, query: str) -> Filter:
    if not query.strip():
        return Filter()
    custom = await search_attributes.known(context.database)
    return understand_for_schedules(query, custom)


async def count_schedules(
    context: Context, request: CountSchedulesRequest
) -> CountSchedulesResponse:
    """How many schedules there are."""
    meant = await _understood(context, request.query)
    count = await schedules.count(context.database, meant.condition)
    return CountSchedulesResponse(count=count)


def _entry(context: Context, row: ScheduleRow) -> ScheduleListEntry:
    """A schedule as lists show it: shorter than describe."""
    record = row.record
    schedule = record.schedule
    entry = ScheduleListEntry(schedule_id=record.schedule_id)
    entry.memo.SetInParent()
    if row.memo is not None:
        entry.memo.CopyFrom(row.memo)
    if row.search_attributes:
        entry.search_attributes.CopyFrom(
            runs.search_attributes_of(row.search_attributes)
        )
    info = entry.info
    info.spec.CopyFrom(spec.written_out(schedule.spec))
    info.spec.ClearField("timezone_data")
    for repeated in (
        info.spec.structured_calendar,
        info.spec.exclude_structured_calendar,
        info.spec.interval,
    ):
        del repeated[_LISTED_SPECS:]
    if schedule.action.HasField("start_workflow"):
        info.workflow_type.CopyFrom(schedule.action.start_workflow.workflow_type)
    info.notes = schedule.state.notes
    info.paused = schedule.state.paused
    info.recent_actions.extend(record.info.recent_actions[-_LISTED:])
    scheduler = Scheduler(record, times(context, record), row.now)
    info.future_action_times.extend(
        clock.timestamp(at) for at in scheduler.future(_LISTED)
    )
    return entry
