"""A signal where a run is open, else a start, whoever asks for it.

A signal that starts its run is the second event of its history, not a message: start
and signal are one statement, and no turn can come between them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from temporalio.api.enums.v1 import WorkflowIdConflictPolicy
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    SignalWithStartWorkflowExecutionResponse,
    StartWorkflowExecutionRequest,
)

from dbosify._model import limits
from dbosify._model.protos import Payloads
from dbosify._store.engine import Call
from dbosify._store.inboxes import Message
from dbosify._store.search_attributes import known_among

from . import errors, validate
from .context import Context
from .sending import send
from .signal_event import message_id, signal_event, signal_link
from .start_checks import apply_policy_defaults, check
from .start_row import start_row
from .starting import Begun, begin

_FAIL = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL
_USE_EXISTING = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
_TERMINATE_EXISTING = (
    WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
)
_SHARED = tuple(
    field.name
    for field in StartWorkflowExecutionRequest.DESCRIPTOR.fields
    if field.name in SignalWithStartWorkflowExecutionRequest.DESCRIPTOR.fields_by_name
)


async def signal_with_start(
    context: Context, request: SignalWithStartWorkflowExecutionRequest
) -> SignalWithStartWorkflowExecutionResponse:
    """Signal the open run of a workflow id, or start one with the signal.

    Raises:
        RPCError: with the server's text for the first thing wrong.
    """
    start = _start_request(request)
    apply_policy_defaults(start, _USE_EXISTING)
    names = start.search_attributes.indexed_fields
    custom = await known_among(context.database, names)
    _check(request, start, custom, context.namespace)
    if not request.request_id:
        request.request_id = str(uuid.uuid4())
    while True:
        if start.workflow_id_conflict_policy != _TERMINATE_EXISTING:
            signaled = await _signal(context, request)
            if signaled is not None:
                return signaled
        started = await _start(context, request, start)
        if started is not None:
            return started


def _start_request(
    request: SignalWithStartWorkflowExecutionRequest,
) -> StartWorkflowExecutionRequest:
    start = StartWorkflowExecutionRequest()
    present = {field.name: value for field, value in request.ListFields()}
    for name in _SHARED:
        if name in present:
            start.MergeFrom(StartWorkflowExecutionRequest(**{name: present[name]}))
    return start


def _check(
    request: SignalWithStartWorkflowExecutionRequest,
    start: StartWorkflowExecutionRequest,
    custom: Mapping[str, str],
    namespace: str,
) -> None:
    """Check what a plain start has not, and what it says in other words."""
    if request.workflow_id:
        if not request.signal_name:
            raise errors.invalid("signal not set")
        _limit("signal name", request.signal_name)
        _limit("Request ID", request.request_id)
    if request.workflow_id_conflict_policy == _FAIL:
        raise errors.invalid(
            "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not"
            " supported for this operation."
        )
    check(start, custom, namespace)
    validate.blob(request.signal_input)


def _limit(what: str, text: str) -> None:
    size = len(text.encode())
    if size > limits.current.id_bytes:
        raise errors.invalid(
            f"{what} exceeds maximum allowed length ({size}/{limits.current.id_bytes})"
        )
    validate.clean(text)


def _signal_input(request: SignalWithStartWorkflowExecutionRequest) -> Payloads | None:
    return request.signal_input if request.HasField("signal_input") else None


async def _signal(
    context: Context, request: SignalWithStartWorkflowExecutionRequest
) -> SignalWithStartWorkflowExecutionResponse | None:
    """Signal the latest run; None if it is closed, or there is none."""
    event = signal_event(request, _signal_input(request), context.around.now())
    # Unlike a plain signal, this one ends a start delay.
    message = Message(message_id(request.request_id), [event], at_once=True)
    run = await send(context, request.workflow_id, None, message)
    if run is None or run["close_time"] is not None:
        return None
    if run["inbox"] is None and not run["duplicates"]:
        return None
    return _response(
        context,
        request,
        SignalWithStartWorkflowExecutionResponse(
            run_id=run["run_id"], first_execution_run_id=run["first_run_id"]
        ),
    )


async def _start(
    context: Context,
    request: SignalWithStartWorkflowExecutionRequest,
    start: StartWorkflowExecutionRequest,
) -> SignalWithStartWorkflowExecutionResponse | None:
    """Start a run with the signal; None if another is open by now."""
    signal = signal_event(request, _signal_input(request), context.around.now())
    row = start_row(context, start, request.request_id, signal=signal)
    noted = {
        "workflow_uuid": row.workflow_uuid,
        "message_id": message_id(request.request_id),
    }
    outcome = await begin(
        context, start, row, recognise=False, also=[Call("note_message", noted)]
    )
    if not isinstance(outcome, Begun):
        return None
    return _response(
        context,
        request,
        SignalWithStartWorkflowExecutionResponse(
            run_id=row.run_id, first_execution_run_id=row.run_id, started=True
        ),
    )


def _response(
    context: Context,
    request: SignalWithStartWorkflowExecutionRequest,
    response: SignalWithStartWorkflowExecutionResponse,
) -> SignalWithStartWorkflowExecutionResponse:
    signal_link(
        response.signal_link,
        namespace=context.namespace,
        workflow_id=request.workflow_id,
        run_id=response.run_id,
        request_id=request.request_id,
    )
    return response
