"""The lists that came before list filters: open runs, closed runs, archived runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from temporalio.api.workflowservice.v1 import (
    ListArchivedWorkflowExecutionsRequest,
    ListArchivedWorkflowExecutionsResponse,
    ListClosedWorkflowExecutionsRequest,
    ListClosedWorkflowExecutionsResponse,
    ListOpenWorkflowExecutionsRequest,
    ListOpenWorkflowExecutionsResponse,
)

from dbosify._model import clock
from dbosify._model.conditions import All, Compare, Condition, Field, IsNull, Not
from dbosify._model.protos import Timestamp, WorkflowExecutionStatus
from dbosify._model.search_attributes import SYSTEM
from dbosify._service import errors, listing, validate
from dbosify._service.context import Context
from dbosify._service.filter.syntax import invalid_query


def _field(name: str) -> Field:
    return Field(name, SYSTEM[name], system=True)


_NOT_CLOSED = (
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
)
_OPEN = IsNull(_field("CloseTime"))
_CYCLE = 146_097
"""Days after which the calendar begins again, 400 years later."""
_EPOCH = date(1970, 1, 1).toordinal()


async def list_open_workflow_executions(
    context: Context, request: ListOpenWorkflowExecutionsRequest
) -> ListOpenWorkflowExecutionsResponse:
    """A page of the runs that are open."""
    infos, token = await listing.page(
        context,
        All((_OPEN, *_asked(request))),
        all_divisions=False,
        size=request.maximum_page_size,
        token=request.next_page_token,
    )
    return ListOpenWorkflowExecutionsResponse(executions=infos, next_page_token=token)


async def list_closed_workflow_executions(
    context: Context, request: ListClosedWorkflowExecutionsRequest
) -> ListClosedWorkflowExecutionsResponse:
    """A page of the runs that are closed."""
    conditions = [Not(_OPEN), *_asked(request)]
    if request.HasField("status_filter"):
        status = request.status_filter.status
        if status in _NOT_CLOSED:
            raise errors.invalid(
                "StatusFilter must be specified and must be not Running."
            )
        conditions.append(Compare(_field("ExecutionStatus"), "=", int(status)))
    infos, token = await listing.page(
        context,
        All(tuple(conditions)),
        all_divisions=False,
        size=request.maximum_page_size,
        token=request.next_page_token,
    )
    return ListClosedWorkflowExecutionsResponse(executions=infos, next_page_token=token)


def _asked(
    request: ListOpenWorkflowExecutionsRequest | ListClosedWorkflowExecutionsRequest,
) -> Iterator[Condition]:
    """What both lists may ask for."""
    times = request.start_time_filter
    _check_moment(times.earliest_time)
    _check_moment(times.latest_time)
    earliest, latest = (
        clock.nanoseconds(moment) for moment in (times.earliest_time, times.latest_time)
    )
    if times.HasField("latest_time") and earliest > latest:
        raise errors.invalid(
            "EarliestTime in StartTimeFilter should not be larger than LatestTime."
        )
    if times.HasField("earliest_time"):
        yield Compare(_field("StartTime"), ">=", earliest)
    if times.HasField("latest_time"):
        yield Compare(_field("StartTime"), "<=", latest)
    if request.HasField("execution_filter"):
        wanted = validate.clean(request.execution_filter.workflow_id)
        yield Compare(_field("WorkflowId"), "=", wanted)
    if request.HasField("type_filter"):
        name = validate.clean(request.type_filter.name)
        yield Compare(_field("WorkflowType"), "=", name)


def _check_moment(moment: Timestamp) -> None:
    """Refuse what is in no year of four digits.

    Raises:
        RPCError: the server writes the time into a query, and cannot read it there.
    """
    cycles, days = divmod(moment.seconds // 86400, _CYCLE)
    day = date.fromordinal(_EPOCH + days)
    year = day.year + 400 * cycles
    if not 0 < year < 10_000:
        seconds = moment.seconds % 86400
        clock_time = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        raise invalid_query(
            "invalid expression: unable to parse datetime"
            f" '{year}-{day.month:02}-{day.day:02}T{clock_time}Z'"
        )


async def list_archived_workflow_executions(
    context: Context, request: ListArchivedWorkflowExecutionsRequest
) -> ListArchivedWorkflowExecutionsResponse:
    """Nothing is ever archived."""
    raise errors.invalid("Cluster is not configured for visibility archival.")
