"""Describe-, Poll-, List- and CountActivityExecutions: what clients see of activities.

Of those without a workflow, that is: others are seen through theirs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from temporalio.api.enums.v1 import CallbackState
from temporalio.api.workflowservice.v1 import (
    CountActivityExecutionsRequest,
    CountActivityExecutionsResponse,
    DescribeActivityExecutionRequest,
    DescribeActivityExecutionResponse,
    ListActivityExecutionsRequest,
    ListActivityExecutionsResponse,
    PollActivityExecutionRequest,
    PollActivityExecutionResponse,
    StartActivityExecutionRequest,
)

from dbosify._model import standalone as model
from dbosify._model.protos import ActivityExecutionOutcome
from dbosify._model.search_attributes import OF_ACTIVITIES
from dbosify._service import activity_info, errors, listing
from dbosify._service import standalone as shared
from dbosify._service.activity_checks import named
from dbosify._service.context import Context
from dbosify._service.filter.meaning import Filter, understand
from dbosify._service.standalone import Row
from dbosify._store import search_attributes, standalone, visibility


async def describe_activity_execution(
    context: Context, request: DescribeActivityExecutionRequest
) -> DescribeActivityExecutionResponse:
    """All that is known of an activity, if asked to only once something changed."""
    activity_id, run_id = named(request.activity_id, request.run_id)
    if not request.long_poll_token:
        return _described(request, await _find(context, activity_id, run_id))
    seen = shared.seen(request.long_poll_token, run_id)

    def changed(found: Row) -> bool:
        return bool(found["transitions"] != seen)

    found = await _wait(context, activity_id, run_id, changed, shared.SOON)
    if found is None:
        return DescribeActivityExecutionResponse()
    return _described(request, found)


def _described(
    request: DescribeActivityExecutionRequest, found: Row
) -> DescribeActivityExecutionResponse:
    started = StartActivityExecutionRequest.FromString(found["request"])
    response = DescribeActivityExecutionResponse(
        run_id=found["run_id"],
        info=activity_info.info(found, started),
        long_poll_token=shared.long_poll_token(found),
    )
    for callback in started.completion_callbacks:
        shown = response.callbacks.add()
        shown.trigger.activity_closed.SetInParent()
        shown.info.callback.CopyFrom(callback)
        shown.info.registration_time.CopyFrom(response.info.schedule_time)
        shown.info.state = CallbackState.CALLBACK_STATE_STANDBY
        if found["close_time"] is not None:
            shown.info.state = CallbackState.CALLBACK_STATE_SUCCEEDED
    if request.include_input and started.HasField("input"):
        response.input.CopyFrom(started.input)
    if request.include_outcome and found["outcome"] is not None:
        response.outcome.MergeFromString(found["outcome"])
    details = activity_info.heartbeat_details(found)
    if request.include_heartbeat_details and details is not None:
        response.info.heartbeat_details.CopyFrom(details)
    failure = activity_info.last_failure(found)
    if request.include_last_failure and failure is not None:
        response.info.last_failure.CopyFrom(failure)
    return response


async def poll_activity_execution(
    context: Context, request: PollActivityExecutionRequest
) -> PollActivityExecutionResponse:
    """The outcome of an activity, waiting for it as long as a request may."""
    activity_id, run_id = named(request.activity_id, request.run_id)
    run_id = (await _find(context, activity_id, run_id))["run_id"]

    def over(found: Row) -> bool:
        return found["close_time"] is not None

    found = await _wait(context, activity_id, run_id, over, shared.LOOK)
    if found is None:
        return PollActivityExecutionResponse()
    outcome = ActivityExecutionOutcome.FromString(found["outcome"])
    return PollActivityExecutionResponse(run_id=found["run_id"], outcome=outcome)


async def _find(context: Context, activity_id: str, run_id: str | None) -> Row:
    found = await standalone.find(context.database, activity_id, run_id)
    if found is None:
        raise errors.activity_not_found(activity_id)
    return found


async def _wait(
    context: Context,
    activity_id: str,
    run_id: str | None,
    wanted: Callable[[Row], bool],
    pause: float,
) -> Row | None:
    def find() -> Awaitable[Row]:
        return _find(context, activity_id, run_id)

    key = (await find())["task_id"]
    return await shared.wait(context, key, find, wanted, pause=pause)


async def list_activity_executions(
    context: Context, request: ListActivityExecutionsRequest
) -> ListActivityExecutionsResponse:
    """A page of the activities that meet a list filter."""
    meant = await _understood(context, request.query)
    size = request.page_size
    size = listing.MAX_PAGE if not 0 < size <= listing.MAX_PAGE else size
    rows = await visibility.list_activities(
        context.database,
        meant.condition,
        after=listing.place_of(request.next_page_token),
        limit=size + 1,
    )
    return ListActivityExecutionsResponse(
        executions=[activity_info.list_info(row) for row in rows[:size]],
        next_page_token=listing.token_of(rows[size - 1]) if len(rows) > size else b"",
    )


async def count_activity_executions(
    context: Context, request: CountActivityExecutionsRequest
) -> CountActivityExecutionsResponse:
    """How many activities meet a list filter, by status if it says so."""
    meant = await _understood(context, request.query)
    counts = await visibility.count_activities(context.database, meant.condition)
    response = CountActivityExecutionsResponse(count=sum(counts.values()))
    if meant.by_status:
        shared.group(response.groups, counts, model.NAMES)
    return response


async def _understood(context: Context, query: str) -> Filter:
    if not query.strip():
        return Filter()
    custom = await search_attributes.known(context.database)
    return understand(query, custom, OF_ACTIVITIES)
