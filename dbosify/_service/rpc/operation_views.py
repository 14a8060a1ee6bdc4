"""Describe-, Poll-, List- and CountNexusOperationExecutions: operations of clients.

Those that workflows ask for are seen through their workflows.
"""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import NexusOperationWaitStage
from temporalio.api.workflowservice.v1 import (
    CountNexusOperationExecutionsRequest,
    CountNexusOperationExecutionsResponse,
    DescribeNexusOperationExecutionRequest,
    DescribeNexusOperationExecutionResponse,
    ListNexusOperationExecutionsRequest,
    ListNexusOperationExecutionsResponse,
    PollNexusOperationExecutionRequest,
    PollNexusOperationExecutionResponse,
    StartNexusOperationExecutionRequest,
)

from dbosify._model import standalone_operation as model
from dbosify._model.protos import PendingNexusOperationInfo, PendingNexusOperationState
from dbosify._model.search_attributes import OF_OPERATIONS
from dbosify._service import errors, listing, operation_info, standalone
from dbosify._service.context import Context
from dbosify._service.filter.meaning import Filter, understand
from dbosify._service.operation_checks import named
from dbosify._service.standalone import Row
from dbosify._store import search_attributes, standalone_operations, visibility

_CLOSED = NexusOperationWaitStage.NEXUS_OPERATION_WAIT_STAGE_CLOSED
_STARTED = NexusOperationWaitStage.NEXUS_OPERATION_WAIT_STAGE_STARTED
_UNSPECIFIED = NexusOperationWaitStage.NEXUS_OPERATION_WAIT_STAGE_UNSPECIFIED
_HAS_BEGUN = PendingNexusOperationState.PENDING_NEXUS_OPERATION_STATE_STARTED


async def describe_nexus_operation_execution(
    context: Context, request: DescribeNexusOperationExecutionRequest
) -> DescribeNexusOperationExecutionResponse:
    """All that is known of an operation, if asked to only once something changed."""
    operation_id, run_id = named(request.operation_id, request.run_id)
    if not request.long_poll_token:
        return _described(context, request, await _find(context, operation_id, run_id))
    version = standalone.seen(request.long_poll_token, run_id)
    found = await _wait(
        context,
        await _find(context, operation_id, run_id),
        lambda found: bool(found["transitions"] != version),
        standalone.SOON,
    )
    if found is None:
        return DescribeNexusOperationExecutionResponse()
    return _described(context, request, found)


def _described(
    context: Context, request: DescribeNexusOperationExecutionRequest, found: Row
) -> DescribeNexusOperationExecutionResponse:
    response = DescribeNexusOperationExecutionResponse(
        run_id=found["run_id"],
        info=operation_info.info(found, now=context.around.now()),
        long_poll_token=standalone.long_poll_token(found),
    )
    if request.include_input:
        started = StartNexusOperationExecutionRequest.FromString(found["request"])
        response.input.CopyFrom(started.input)
    if request.include_outcome:
        outcome = _outcome(found)
        kind = outcome.WhichOneof("outcome")
        if kind is not None:
            getattr(response, kind).CopyFrom(getattr(outcome, kind))
    return response


def _outcome(found: Row) -> PollNexusOperationExecutionResponse:
    kept = found["outcome"] or b""
    return PollNexusOperationExecutionResponse.FromString(kept)


async def poll_nexus_operation_execution(
    context: Context, request: PollNexusOperationExecutionRequest
) -> PollNexusOperationExecutionResponse:
    """An operation once it is as far as asked, waiting as long as a request may."""
    operation_id, run_id = named(request.operation_id, request.run_id)
    if request.wait_stage not in (_UNSPECIFIED, _STARTED, _CLOSED):
        raise errors.invalid(f"unsupported wait_stage: {int(request.wait_stage)}")

    def reached(found: Row) -> bool:
        if found["close_time"] is not None:
            return True
        return request.wait_stage == _STARTED and _calls(found).state == _HAS_BEGUN

    found = await _wait(
        context, await _find(context, operation_id, run_id), reached, standalone.LOOK
    )
    if found is None:
        return PollNexusOperationExecutionResponse()
    response = _outcome(found)
    response.run_id = found["run_id"]
    response.operation_token = _calls(found).operation_token
    response.wait_stage = _CLOSED if found["close_time"] is not None else _STARTED
    return response


def _calls(found: Row) -> PendingNexusOperationInfo:
    return PendingNexusOperationInfo.FromString(found["info"])


async def _find(context: Context, operation_id: str, run_id: str | None) -> Row:
    found = await standalone_operations.find(context.database, operation_id, run_id)
    if found is None:
        raise errors.operation_not_found(operation_id)
    return found


async def _wait(context: Context, first: Row, wanted: Any, pause: float) -> Row | None:
    def find() -> Any:
        return _find(context, first["operation_id"], first["run_id"])

    return await standalone.wait(
        context, first["operation_key"], find, wanted, pause=pause
    )


async def list_nexus_operation_executions(
    context: Context, request: ListNexusOperationExecutionsRequest
) -> ListNexusOperationExecutionsResponse:
    """A page of the operations that meet a list filter."""
    meant = await _understood(context, request.query)
    size = request.page_size
    size = listing.MAX_PAGE if not 0 < size <= listing.MAX_PAGE else size
    rows = await visibility.list_operations(
        context.database,
        meant.condition,
        after=listing.place_of(request.next_page_token),
        limit=size + 1,
    )
    return ListNexusOperationExecutionsResponse(
        operations=[operation_info.list_info(row) for row in rows[:size]],
        next_page_token=listing.token_of(rows[size - 1]) if len(rows) > size else b"",
    )


async def count_nexus_operation_executions(
    context: Context, request: CountNexusOperationExecutionsRequest
) -> CountNexusOperationExecutionsResponse:
    """How many operations meet a list filter, by status if it says so."""
    meant = await _understood(context, request.query)
    counts = await visibility.count_operations(context.database, meant.condition)
    response = CountNexusOperationExecutionsResponse(count=sum(counts.values()))
    if meant.by_status:
        standalone.group(response.groups, counts, model.NAMES)
    return response


async def _understood(context: Context, query: str) -> Filter:
    if not query.strip():
        return Filter()
    custom = await search_attributes.known(context.database)
    return understand(query, custom, OF_OPERATIONS)
