"""Raw requests of the service's contract, and how its refusals are told.

The official tests see the service through the client, which hides status codes,
details and messages. Code written against Temporal reads them all the same, so the
``test_contract_*`` modules speak to the service directly; this is their vocabulary.
"""

import uuid
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from dbosify.api import errordetails
from dbosify.api.common.v1 import Payloads, WorkflowExecution, WorkflowType
from dbosify.api.enums.v1 import EventType
from dbosify.api.errordetails.v1 import NamespaceNotFoundFailure, NotFoundFailure
from dbosify.api.history.v1 import HistoryEvent
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    RequestCancelWorkflowExecutionRequest,
    RequestCancelWorkflowExecutionResponse,
    SignalWorkflowExecutionRequest,
    SignalWorkflowExecutionResponse,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
    TerminateWorkflowExecutionRequest,
    TerminateWorkflowExecutionResponse,
)
from dbosify.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from dbosify.converter import PayloadConverter
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import Worker
from tests.ported_temporal.kitchen_sink import (
    Action,
    AwaitSignal,
    Fail,
    Result,
    Script,
)
from tests.ported_temporal.scaffold import random_id

T = TypeVar("T")

IDENTITY = "a caller"

MAX_ID_LENGTH = 1000

TOO_LONG = "x" * (MAX_ID_LENGTH + 1)

MAX_BLOB_SIZE = 2 * 1024 * 1024

UNKNOWN_RUN_ID = str(uuid.UUID(int=1))

CLOSED = (
    WorkflowExecutionStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.CANCELED,
    WorkflowExecutionStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT,
)
"""Every way in which a workflow, rather than one run of it, can be over."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an RPC says instead of answering; at most one detail explains it."""

    status: RPCStatusCode
    message: str
    detail: Message | None = None


async def answer_or_refusal(call: Awaitable[T]) -> T | Refusal:
    """Make a call that may be refused; give the answer, or tell how it is refused."""
    try:
        return await call
    except RPCError as error:
        return Refusal(error.status, error.message, _only_detail(error))


async def refusal_of(call: Awaitable[object]) -> Refusal:
    """Make a call that has to be refused; tell how it is."""
    outcome = await answer_or_refusal(call)
    assert isinstance(outcome, Refusal), f"not refused but answered: {outcome}"
    return outcome


def _only_detail(error: RPCError) -> Message | None:
    details = error.grpc_status.details
    assert len(details) <= 1
    if not details:
        return None
    name = details[0].TypeName().rsplit(".", 1)[-1]
    detail: Message = getattr(errordetails.v1, name)()
    assert details[0].Unpack(detail)
    return detail


def invalid(message: str) -> Refusal:
    """The refusal of a request that nothing could make right but its sender."""
    return Refusal(RPCStatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> Refusal:
    return Refusal(RPCStatusCode.NOT_FOUND, message, NotFoundFailure())


def unknown_workflow(workflow_id: str) -> Refusal:
    """There is no run with that workflow id."""
    return not_found(f"workflow not found for ID: {workflow_id}")


def unknown_run(workflow_id: str, run_id: str) -> Refusal:
    """There is no such run, whatever else there is of the workflow."""
    return not_found(
        "workflow execution not found for workflow ID "
        f'"{workflow_id}" and run ID "{run_id}"'
    )


def unknown_namespace(name: str) -> Refusal:
    """There is no such namespace."""
    return Refusal(
        RPCStatusCode.NOT_FOUND,
        f"Namespace {name} is not found.",
        NamespaceNotFoundFailure(namespace=name),
    )


ALREADY_COMPLETED = not_found("workflow execution already completed")

ANOTHER_CHAIN = not_found("workflow execution not found")
"""The workflow's current run doesn't descend from the run that was named."""

NO_WORKFLOW_ID = invalid("WorkflowId is not set on request.")

BAD_RUN_ID = invalid("Invalid RunId.")

NO_NAMESPACE = invalid("Namespace is empty.")


def payloads(*values: object) -> Payloads:
    """Arguments as the default converter writes them."""
    return Payloads(payloads=PayloadConverter.default.to_payloads(values))


def duration(span: timedelta) -> Duration:
    """The protobuf form of a time span."""
    proto = Duration()
    proto.FromTimedelta(span)
    return proto


def execution(workflow_id: str, run_id: str = "") -> WorkflowExecution:
    """A run, or with no run id whichever run of the workflow is the current one."""
    return WorkflowExecution(workflow_id=workflow_id, run_id=run_id)


def start_request(
    client: Client, workflow_id: str, **fields: Any
) -> StartWorkflowExecutionRequest:
    """A start that nothing is wrong with, on a queue that no worker polls."""
    complete: dict[str, Any] = {
        "namespace": client.namespace,
        "workflow_id": workflow_id,
        "workflow_type": WorkflowType(name="untouched"),
        "task_queue": TaskQueue(name=random_id("queue")),
        "request_id": str(uuid.uuid4()),
        "identity": IDENTITY,
    }
    return StartWorkflowExecutionRequest(**{**complete, **fields})


async def start(
    client: Client, workflow_id: str, **fields: Any
) -> StartWorkflowExecutionResponse:
    """Start a run that stays as it is unless the fields name a worker's queue."""
    return await client.workflow_service.start_workflow_execution(
        start_request(client, workflow_id, **fields)
    )


async def start_script(
    client: Client, worker: Worker, workflow_id: str, script: Script, **fields: Any
) -> StartWorkflowExecutionResponse:
    """Start a run that follows a script on the kitchen sink's worker."""
    return await start(
        client,
        workflow_id,
        workflow_type=WorkflowType(name="kitchen_sink"),
        task_queue=TaskQueue(name=worker.task_queue),
        input=payloads(script),
        **fields,
    )


async def signal(
    client: Client, target: WorkflowExecution, **fields: Any
) -> SignalWorkflowExecutionResponse:
    """Send a signal."""
    complete: dict[str, Any] = {
        "namespace": client.namespace,
        "workflow_execution": target,
        "signal_name": "a signal",
        "request_id": str(uuid.uuid4()),
        "identity": IDENTITY,
    }
    return await client.workflow_service.signal_workflow_execution(
        SignalWorkflowExecutionRequest(**{**complete, **fields})
    )


async def cancel(
    client: Client, target: WorkflowExecution, **fields: Any
) -> RequestCancelWorkflowExecutionResponse:
    """Ask a run to cancel."""
    complete: dict[str, Any] = {
        "namespace": client.namespace,
        "workflow_execution": target,
        "request_id": str(uuid.uuid4()),
        "identity": IDENTITY,
    }
    return await client.workflow_service.request_cancel_workflow_execution(
        RequestCancelWorkflowExecutionRequest(**{**complete, **fields})
    )


async def terminate(
    client: Client, target: WorkflowExecution, **fields: Any
) -> TerminateWorkflowExecutionResponse:
    """End a run, whatever it is doing."""
    complete: dict[str, Any] = {
        "namespace": client.namespace,
        "workflow_execution": target,
        "identity": IDENTITY,
    }
    return await client.workflow_service.terminate_workflow_execution(
        TerminateWorkflowExecutionRequest(**{**complete, **fields})
    )


async def describe(
    client: Client, target: WorkflowExecution
) -> DescribeWorkflowExecutionResponse:
    """Everything the service tells about a run."""
    return await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(namespace=client.namespace, execution=target)
    )


async def status_of(
    client: Client, target: WorkflowExecution
) -> WorkflowExecutionStatus:
    """Whether a run is open, or how it closed."""
    answer = await describe(client, target)
    return WorkflowExecutionStatus(answer.workflow_execution_info.status)


async def history_of(client: Client, target: WorkflowExecution) -> list[HistoryEvent]:
    """All events of a run so far."""
    handle = client.get_workflow_handle(
        target.workflow_id, run_id=target.run_id or None
    )
    return [event async for event in handle.fetch_history_events()]


def names_of(events: Sequence[HistoryEvent]) -> list[str]:
    """The types of events, without the prefix that all of them have."""
    return [
        EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in events
    ]


async def start_and_close(
    client: Client,
    worker: Worker,
    workflow_id: str,
    *,
    status: WorkflowExecutionStatus,
    **fields: Any,
) -> StartWorkflowExecutionResponse:
    """Start a run and bring it to its end, which has to be this one."""
    target = execution(workflow_id)
    ends: dict[WorkflowExecutionStatus, Script] = {
        WorkflowExecutionStatus.COMPLETED: Script([Action(result=Result("done"))]),
        WorkflowExecutionStatus.FAILED: Script([Action(fail=Fail("as told"))]),
        WorkflowExecutionStatus.CANCELED: Script(
            [Action(await_signal=AwaitSignal("never"))]
        ),
    }
    if status in ends:
        started = await start_script(
            client, worker, workflow_id, ends[status], **fields
        )
    elif status == WorkflowExecutionStatus.TIMED_OUT:
        a_second = duration(timedelta(seconds=1))
        started = await start(
            client, workflow_id, workflow_run_timeout=a_second, **fields
        )
    else:
        started = await start(client, workflow_id, **fields)
    if status == WorkflowExecutionStatus.CANCELED:
        await cancel(client, target)
    if status == WorkflowExecutionStatus.TERMINATED:
        await terminate(client, target)
    await closed(client, workflow_id)
    assert await status_of(client, target) == status
    return started


async def closed(client: Client, workflow_id: str) -> None:
    """Return once the workflow is over, however it ended."""
    try:
        await client.get_workflow_handle(workflow_id).result()
    except WorkflowFailureError:
        return
