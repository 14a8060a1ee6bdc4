"""Describe-, Poll-, List- and CountActivityExecutions: what clients see of activities.

Of those without a workflow, that is: others are seen through theirs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

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
from dbosify._model.search_attributes import KEYWORD, OF_ACTIVITIES
from dbosify._service import activity_info, errors, listing
from dbosify._service.activity_checks import named
from dbosify._service.context import Context
from dbosify._service.filter.meaning import Filter, understand
from dbosify._store import search_attributes, standalone, visibility

_LONG_POLL = 20.0
_EARLY = 1.0
"""Seconds before the caller gives up at which it is told that there is no news."""
_LOOK = 1.0
"""Seconds between looks while hints stay away."""
_SOON = 0.1
"""The same, for changes that nobody hints."""


async def describe_activity_execution(
    context: Context, request: DescribeActivityExecutionRequest
) -> DescribeActivityExecutionResponse:
    """All that is known of an activity, if asked to only once something changed."""
    activity_id, run_id = named(request.activity_id, request.run_id)
    if not request.long_poll_token:
        return _described(request, await _find(context, activity_id, run_id))
    if run_id is None:
        raise errors.invalid("run id is required when long poll token is provided")
    of_run, seen = _long_poll_token(request.long_poll_token)
    if of_run != run_id:
        raise errors.invalid("long poll token does not match execution")

    def changed(found: dict[str, Any]) -> bool:
        return bool(_version(found) != seen)

    found = await _wait(context, activity_id, run_id, changed, _SOON)
    if found is None:
        return DescribeActivityExecutionResponse()
    return _described(request, found)


def _described(
    request: DescribeActivityExecutionRequest, found: dict[str, Any]
) -> DescribeActivityExecutionResponse:
    started = StartActivityExecutionRequest.FromString(found["request"])
    response = DescribeActivityExecutionResponse(
        run_id=found["run_id"],
        info=activity_info.info(found, started),
        long_poll_token=json.dumps([found["run_id"], _version(found)]).encode(),
    )
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


def _version(found: dict[str, Any]) -> int:
    count: int = found["transitions"]
    return count


def _long_poll_token(token: bytes) -> tuple[str, int]:
    try:
        run_id, version = json.loads(token)
        return str(run_id), int(version)
    except (ValueError, TypeError, RecursionError):
        raise errors.invalid("invalid long poll token") from None


async def poll_activity_execution(
    context: Context, request: PollActivityExecutionRequest
) -> PollActivityExecutionResponse:
    """The outcome of an activity, waiting for it as long as a request may."""
    activity_id, run_id = named(request.activity_id, request.run_id)
    run_id = (await _find(context, activity_id, run_id))["run_id"]

    def over(found: dict[str, Any]) -> bool:
        return found["close_time"] is not None

    found = await _wait(context, activity_id, run_id, over, _LOOK)
    if found is None:
        return PollActivityExecutionResponse()
    outcome = ActivityExecutionOutcome.FromString(found["outcome"])
    return PollActivityExecutionResponse(run_id=found["run_id"], outcome=outcome)


async def _find(
    context: Context, activity_id: str, run_id: str | None
) -> dict[str, Any]:
    found = await standalone.find(context.database, activity_id, run_id)
    if found is None:
        raise errors.activity_not_found(activity_id)
    return found


async def _wait(
    context: Context,
    activity_id: str,
    run_id: str | None,
    wanted: Callable[[dict[str, Any]], bool],
    pause: float,
) -> dict[str, Any] | None:
    """An activity once it is as wanted; None if that takes too long."""
    found = await _find(context, activity_id, run_id)
    most = min(context.time_left(_LONG_POLL + _EARLY) - _EARLY, _LONG_POLL)
    give_up = context.around.now().ToNanoseconds() / 1e9 + most
    with context.around.watch(found["task_id"]) as watch:
        while not wanted(found := await _find(context, activity_id, run_id)):
            left = give_up - context.around.now().ToNanoseconds() / 1e9
            if left <= 0:
                return None
            await watch.wait(min(left, pause))
        return found


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
    named_counts = sorted((model.NAMES[status], n) for status, n in counts.items())
    for name, count in named_counts if meant.by_status else ():
        value = response.groups.add(count=count).group_values.add()
        value.metadata["encoding"] = b"json/plain"
        value.metadata["type"] = KEYWORD.encode()
        value.data = json.dumps(name).encode()
    return response


async def _understood(context: Context, query: str) -> Filter:
    if not query.strip():
        return Filter()
    custom = await search_attributes.known(context.database)
    return understand(query, custom, OF_ACTIVITIES)
