"""The Nexus endpoint that is the service itself, and needs no worker.

Temporal's server has one operation there: signal with start. A call is repeated after a
crash; the operation's request id makes the run that is signalled take it once.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError
from temporalio.api.workflowservice.v1 import SignalWithStartWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode

from dbosify._model import failures, ids
from dbosify._model.outbox import Entry
from dbosify._model.protos import Failure, Link, Payload

from . import errors
from .context import Context
from .signal_with_start import signal_with_start

_SERVICE = "temporal.api.workflowservice.v1.WorkflowService"
_OPERATION = "SignalWithStartWorkflowExecution"
_PASSING = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to."""

    outcome: Payload | Failure
    links: tuple[Link, ...] = ()


async def call(context: Context, entry: Entry) -> Answer:
    """Do what a workflow asks of the service.

    Raises:
        RPCError: it may be answered the next time.
    """
    try:
        return await _signal_with_start(context, entry)
    except RPCError as error:
        if error.status in _PASSING:
            raise
        # As Go prints its errors: the type first.
        kind = _TYPES.get(error.status) or _camel(error.status.name)
        failure = failures.server(f"{kind}: {error.message}")
        failure.server_failure_info.non_retryable = True
        return Answer(failure)


async def _signal_with_start(context: Context, entry: Entry) -> Answer:
    (scheduled,) = entry.events
    wanted = scheduled.nexus_operation_scheduled_event_attributes
    if (wanted.service, wanted.operation) != (_SERVICE, _OPERATION):
        raise errors.not_found(
            f"no operation {wanted.operation} of the service {wanted.service}"
        )
    try:
        request = SignalWithStartWorkflowExecutionRequest.FromString(wanted.input.data)
    except DecodeError:
        raise errors.invalid("the input is no request") from None
    if request.namespace != context.namespace:
        raise errors.invalid("the request is about another namespace")
    request.request_id = wanted.request_id
    caller = request.links.add().workflow_event
    caller.namespace = context.namespace
    caller.workflow_id = ids.workflow_id_of(entry.workflow_uuid)
    caller.run_id = ids.run_id_of(entry.workflow_uuid)
    caller.event_ref.event_id = scheduled.event_id
    caller.event_ref.event_type = scheduled.event_type
    response = await signal_with_start(context, request)
    result = Payload(data=response.SerializeToString())
    result.metadata["encoding"] = b"binary/protobuf"
    result.metadata["messageType"] = response.DESCRIPTOR.full_name.encode()
    return Answer(result, (response.signal_link,))


_TYPES = {RPCStatusCode.ALREADY_EXISTS: "WorkflowExecutionAlreadyStarted"}


def _camel(status: str) -> str:
    return "".join(word.capitalize() for word in status.split("_"))
