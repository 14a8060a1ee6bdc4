"""GetWorkflowExecutionHistory: pages, long polls, and the wait for a run's end."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import Any

from temporalio.api.enums.v1 import HistoryEventFilterType
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    GetWorkflowExecutionHistoryReverseResponse,
)

from dbosify._model import clock, ids
from dbosify._model.protos import HistoryEvent
from dbosify._service import errors, validate
from dbosify._service.context import Context, Watch
from dbosify._service.ending import find_run
from dbosify._service.whole_history import events_of
from dbosify._store import journal

_MAX_PAGE = 256
_LONG_POLL = 20.0
_POLL_INTERVAL = 0.25
"""Seconds between looks at the database while hints stay away."""


@dataclass(frozen=True, slots=True)
class _Token:
    run_id: str
    next_event_id: int

    def encode(self) -> bytes:
        return base64.b64encode(json.dumps([self.run_id, self.next_event_id]).encode())

    @staticmethod
    def decode(data: bytes) -> _Token:
        try:
            run_id, next_event_id = json.loads(base64.b64decode(data, validate=True))
            return _Token(str(run_id), int(next_event_id))
        except (ValueError, TypeError):
            raise errors.invalid("Invalid NextPageToken.") from None


async def get_workflow_execution_history(
    context: Context, request: GetWorkflowExecutionHistoryRequest
) -> GetWorkflowExecutionHistoryResponse:
    """A page of a run's history, or its last event, waiting if asked to."""
    workflow_id, run_id = validate.execution(request.execution)
    token = None
    if request.next_page_token:
        token = _Token.decode(request.next_page_token)
        if run_id is not None and run_id != token.run_id:
            raise errors.invalid(
                "RunId in the request does not match the NextPageToken."
            )
        run_id = token.run_id
    only_close = (
        request.history_event_filter_type
        == HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT
    )
    if only_close:
        return await _close_event(context, request, workflow_id, run_id)
    run = await _find(context, workflow_id, run_id)
    return await _page(context, request, run, token)


async def _find(
    context: Context, workflow_id: str, run_id: str | None
) -> dict[str, Any]:
    run = await find_run(context, workflow_id, run_id)
    if run is None:
        raise errors.workflow_not_found(workflow_id, run_id or "")
    return run


async def _close_event(
    context: Context,
    request: GetWorkflowExecutionHistoryRequest,
    workflow_id: str,
    run_id: str | None,
) -> GetWorkflowExecutionHistoryResponse:
    response = GetWorkflowExecutionHistoryResponse()
    response.history.SetInParent()
    if run_id is None or not request.wait_new_event:
        run = await _find(context, workflow_id, run_id)
        run_id = str(run["run_id"])
        if not request.wait_new_event and run["close_time"] is None:
            return response
    event = await _wait_for_close(context, workflow_id, run_id)
    if event is None:
        response.next_page_token = _Token(run_id, 0).encode()
    else:
        response.history.events.append(event)
    return response


async def _wait_for_close(
    context: Context, workflow_id: str, run_id: str
) -> HistoryEvent | None:
    uuid = ids.workflow_uuid(workflow_id, run_id)
    with context.around.watch_close(uuid) as watch:
        now = asyncio.get_running_loop().time
        end = now() + context.time_left(_LONG_POLL)
        known_open = context.around.owns(uuid)
        time_left = _LONG_POLL
        while True:
            # Looked at before the first wait too: the run may have closed before it
            # was watched. One that a worker here owns has not.
            if not known_open:
                run = await _find(context, workflow_id, run_id)
                if run["close_time"] is not None:
                    return await journal.last_event(context.database, uuid)
                time_left = _time_left(context, run)
            known_open = False
            left = end - now()
            if left <= 0:
                return None
            await watch.wait(min(left, time_left))
            if watch.event is not None:
                return watch.event


def _time_left(context: Context, run: dict[str, Any]) -> float:
    """Seconds until the run is out of time, and a look at it closes it."""
    if run["expires_at"] is None:
        return _LONG_POLL
    now = clock.seconds(context.around.now())
    return max(0.01, float(run["expires_at"].timestamp()) - now + 0.01)


async def _page(
    context: Context,
    request: GetWorkflowExecutionHistoryRequest,
    run: dict[str, Any],
    token: _Token | None,
) -> GetWorkflowExecutionHistoryResponse:
    size = request.maximum_page_size
    size = _MAX_PAGE if size <= 0 or size > _MAX_PAGE else size
    first = token.next_event_id if token is not None else 1
    events, is_open = await events_of(context, run)
    if request.wait_new_event and is_open and first > len(events):
        with context.around.watch(run["workflow_uuid"]) as watch:
            events, is_open = await _wait_for_more(context, run, first, watch)
    page = events[first - 1 : first - 1 + size]
    response = GetWorkflowExecutionHistoryResponse()
    response.history.events.extend(page)
    following = first + len(page)
    if following <= len(events) or (request.wait_new_event and is_open):
        response.next_page_token = _Token(run["run_id"], following).encode()
    return response


async def _wait_for_more(
    context: Context, run: dict[str, Any], first: int, watch: Watch
) -> tuple[list[HistoryEvent], bool]:
    left = context.time_left(_LONG_POLL)
    while True:
        events, is_open = await events_of(context, run)
        if first <= len(events) or not is_open or left <= 0:
            return events, is_open
        await watch.wait(min(left, _POLL_INTERVAL))
        left = context.time_left(left - _POLL_INTERVAL)


async def get_workflow_execution_history_reverse(
    context: Context, request: GetWorkflowExecutionHistoryReverseRequest
) -> GetWorkflowExecutionHistoryReverseResponse:
    """A page of a run's history, newest first."""
    workflow_id, run_id = validate.execution(request.execution)
    token = None
    if request.next_page_token:
        token = _Token.decode(request.next_page_token)
        run_id = token.run_id
    run = await _find(context, workflow_id, run_id)
    events, _ = await events_of(context, run)
    size = request.maximum_page_size
    size = _MAX_PAGE if size <= 0 or size > _MAX_PAGE else size
    last = token.next_event_id if token is not None else len(events)
    page = events[max(last - size, 0) : last]
    response = GetWorkflowExecutionHistoryReverseResponse()
    response.history.events.extend(reversed(page))
    if last - size > 0:
        response.next_page_token = _Token(run["run_id"], last - size).encode()
    return response
