"""StartWorkflowExecution."""

from __future__ import annotations

import uuid
from dataclasses import replace

from temporalio.api.history.v1 import WorkflowExecutionOptionsUpdatedEventAttributes
from temporalio.api.workflowservice.v1 import (
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)

from dbosify._model.protos import EventType, HistoryEvent, WorkflowExecutionStatus
from dbosify._service.context import Context
from dbosify._service.sending import send
from dbosify._service.start_checks import apply_policy_defaults, check
from dbosify._service.start_row import own_links, start_row
from dbosify._service.starting import Begun, Found, begin
from dbosify._store import inboxes
from dbosify._store.inboxes import Message
from dbosify._store.search_attributes import known_among

_OPTIONS_UPDATED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED


async def start_workflow_execution(
    context: Context, request: StartWorkflowExecutionRequest
) -> StartWorkflowExecutionResponse:
    """Start a run, or say what the id's latest run has against it."""
    apply_policy_defaults(request)
    names = request.search_attributes.indexed_fields
    custom = await known_among(context.database, names)
    check(request, custom, context.namespace)
    if not request.request_id:
        request.request_id = str(uuid.uuid4())
    row = start_row(context, request, request.request_id)
    while True:
        outcome = await begin(context, request, row)
        if isinstance(outcome, Begun):
            return _begun(context, request, outcome)
        if outcome.known or not request.HasField("on_conflict_options"):
            return _found(context, request, outcome)
        if await _join(context, request, outcome):
            attached = request.on_conflict_options.attach_request_id
            return _found(context, request, replace(outcome, attached=attached))


async def _join(
    context: Context, request: StartWorkflowExecutionRequest, found: Found
) -> bool:
    """Leave an event in the run that this request joins; False if it is closed now."""
    options = request.on_conflict_options
    updated = WorkflowExecutionOptionsUpdatedEventAttributes()
    message_id = f"options::{uuid.uuid4()}"
    if options.attach_request_id:
        updated.attached_request_id = request.request_id
        message_id = inboxes.join_id(request.request_id)
    if options.attach_completion_callbacks:
        updated.attached_completion_callbacks.extend(request.completion_callbacks)
    event = HistoryEvent(
        event_time=context.around.now(),
        event_type=_OPTIONS_UPDATED,
        worker_may_ignore=True,
        workflow_execution_options_updated_event_attributes=updated,
        links=own_links(request) if options.attach_links else (),
    )
    message = Message(message_id, [event], quiet=True)
    run = await send(context, request.workflow_id, found.run_id, message)
    return run is not None and (run["inbox"] is not None or run["duplicates"] > 0)


def _begun(
    context: Context, request: StartWorkflowExecutionRequest, begun: Begun
) -> StartWorkflowExecutionResponse:
    response = StartWorkflowExecutionResponse(
        run_id=begun.run_id,
        started=True,
        status=WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
        first_execution_run_id=begun.run_id,
    )
    if begun.row.owner is not None and request.request_eager_execution:
        task = response.eager_workflow_task
        task.workflow_execution.workflow_id = request.workflow_id
        task.workflow_execution.run_id = begun.run_id
        task.workflow_type.CopyFrom(request.workflow_type)
        task.attempt = 1
    _link_to_start(context, request, response)
    return response


def _found(
    context: Context, request: StartWorkflowExecutionRequest, found: Found
) -> StartWorkflowExecutionResponse:
    response = StartWorkflowExecutionResponse(
        run_id=found.run_id,
        started=found.same_request,
        status=found.run["status"],
        first_execution_run_id=found.run["first_run_id"],
    )
    _link_to_start(context, request, response)
    if found.attached:
        reference = response.link.workflow_event.request_id_ref
        reference.request_id = request.request_id
        reference.event_type = _OPTIONS_UPDATED
    return response


def _link_to_start(
    context: Context,
    request: StartWorkflowExecutionRequest,
    response: StartWorkflowExecutionResponse,
) -> None:
    event = response.link.workflow_event
    event.namespace = context.namespace
    event.workflow_id = request.workflow_id
    event.run_id = response.run_id
    event.event_ref.event_id = 1
    event.event_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
