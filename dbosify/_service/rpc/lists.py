"""ListWorkflowExecutions, ScanWorkflowExecutions and CountWorkflowExecutions."""

from __future__ import annotations

import json

from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    CountWorkflowExecutionsResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    ScanWorkflowExecutionsRequest,
    ScanWorkflowExecutionsResponse,
)

from dbosify._model.search_attributes import KEYWORD
from dbosify._service import listing
from dbosify._service.context import Context
from dbosify._service.filter.meaning import Filter, understand
from dbosify._service.filter.values import STATUSES
from dbosify._store import search_attributes, visibility

_STATUS_NAMES = {int(number): name for name, number in STATUSES.items()}


async def list_workflow_executions(
    context: Context, request: ListWorkflowExecutionsRequest
) -> ListWorkflowExecutionsResponse:
    """A page of the runs that meet a list filter."""
    meant = await _understood(context, request.query)
    infos, token = await listing.page(
        context,
        meant.condition,
        all_divisions=meant.names_division,
        size=request.page_size,
        token=request.next_page_token,
    )
    return ListWorkflowExecutionsResponse(executions=infos, next_page_token=token)


async def scan_workflow_executions(
    context: Context, request: ScanWorkflowExecutionsRequest
) -> ScanWorkflowExecutionsResponse:
    """The same as a list, under its old name."""
    same = ListWorkflowExecutionsRequest(
        page_size=request.page_size,
        next_page_token=request.next_page_token,
        query=request.query,
    )
    response = await list_workflow_executions(context, same)
    return ScanWorkflowExecutionsResponse(
        executions=response.executions, next_page_token=response.next_page_token
    )


async def count_workflow_executions(
    context: Context, request: CountWorkflowExecutionsRequest
) -> CountWorkflowExecutionsResponse:
    """How many runs meet a list filter, by status if it says so."""
    meant = await _understood(context, request.query)
    counts = await visibility.count_runs(
        context.database, meant.condition, all_divisions=meant.names_division
    )
    response = CountWorkflowExecutionsResponse(count=sum(counts.values()))
    for status, count in counts.items() if meant.by_status else ():
        value = response.groups.add(count=count).group_values.add()
        value.metadata["encoding"] = b"json/plain"
        value.metadata["type"] = KEYWORD.encode()
        value.data = json.dumps(_STATUS_NAMES[status]).encode()
    return response


async def _understood(context: Context, query: str) -> Filter:
    if not query.strip():
        return Filter()
    return understand(query, await search_attributes.known(context.database))
