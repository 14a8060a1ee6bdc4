"""Cancelling Nexus operations, with each of the four cancellation types."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import nexus, workflow
from dbosify.api.enums.v1 import EventType
from dbosify.client import Client, WorkflowExecutionStatus, WorkflowHandle
from dbosify.exceptions import CancelledError, NexusOperationError
from dbosify.workflow import NexusOperationCancellationType as Type
from tests.ported_temporal.nexus_calls import served
from tests.ported_temporal.scaffold import assert_eventually, events_of, random_id

pytestmark = pytest.mark.needs("nexus operations")


@dataclass
class Job:
    """What the workflow behind an operation is to do.

    Attributes:
        workflow_id: Its id.
        refuses: Whether the handler refuses to cancel.
    """

    workflow_id: str
    refuses: bool = False


@nexusrpc.service
class Jobs:
    """Long jobs."""

    work: nexusrpc.Operation[Job, str]


@workflow.defn
class Works:
    """Works until it is told that it is done, or that it may stop."""

    def __init__(self) -> None:
        """Nothing was said."""
        self._done = False
        self._may_stop = False

    @workflow.run
    async def run(self) -> str:
        """Work."""
        try:
            await workflow.wait_condition(lambda: self._done)
        except asyncio.CancelledError:
            await workflow.wait_condition(lambda: self._may_stop)
            raise
        return "done"

    @workflow.signal
    def be_done(self) -> None:
        """The work is done."""
        self._done = True

    @workflow.signal
    def stop(self) -> None:
        """It may stop now."""
        self._may_stop = True


class WorkOperation(nexusrpc.handler.OperationHandler[Job, str]):
    """Starts the workflow, and refuses to cancel it if told to."""

    refusing = False

    async def start(
        self, ctx: nexusrpc.handler.StartOperationContext, job: Job
    ) -> nexusrpc.handler.StartOperationResultAsync:
        """Start the workflow."""
        self.refusing = job.refuses
        started = nexus.WorkflowRunOperationContext._from_start_operation_context(ctx)
        handle = await started.start_workflow(Works.run, id=job.workflow_id)
        return nexusrpc.handler.StartOperationResultAsync(handle.to_token())

    async def cancel(
        self, ctx: nexusrpc.handler.CancelOperationContext, token: str
    ) -> None:
        """Cancel the workflow."""
        handle: Any = nexus.WorkflowHandle.from_token(token)
        found = nexus.client().get_workflow_handle(handle.workflow_id)
        if self.refusing:
            raise nexusrpc.HandlerError(
                "never", type=nexusrpc.HandlerErrorType.BAD_REQUEST
            )
        await found.cancel()


@nexusrpc.handler.service_handler(service=Jobs)
class JobsHandler:
    """Its handler."""

    @nexusrpc.handler.operation_handler
    def work(self) -> nexusrpc.handler.OperationHandler[Job, str]:
        """The operation."""
        return WorkOperation()


@workflow.defn
class Employs:
    """Starts an operation, cancels it on a signal, and tells what came of it."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.outcome: str | None = None
        self._enough = False
        self._go = False

    @workflow.run
    async def run(self, endpoint: str, job: Job, kind: str) -> str:
        """Employ."""
        client = workflow.create_nexus_client(service=Jobs, endpoint=endpoint)
        handle = await client.start_operation(
            Jobs.work, job, cancellation_type=Type[kind]
        )
        await workflow.wait_condition(lambda: self._enough)
        handle.cancel()
        try:
            self.outcome = await handle
        except NexusOperationError as error:
            self.outcome = type(error.cause).__name__
        await workflow.wait_condition(lambda: self._go)
        return self.outcome or ""

    @workflow.signal
    def enough(self) -> None:
        """Cancel it."""
        self._enough = True

    @workflow.signal
    def go(self) -> None:
        """Return."""
        self._go = True

    @workflow.query
    def what(self) -> str | None:
        """What came of it so far."""
        return self.outcome


async def begun(
    client: Client, queue: str, endpoint: str, kind: Type, *, refuses: bool = False
) -> tuple[WorkflowHandle[Any, str], WorkflowHandle[Any, str]]:
    """Start both workflows and ask for the cancellation; gives caller and job."""
    job = Job(random_id("job"), refuses)
    caller = await client.start_workflow(
        Employs.run, args=[endpoint, job, kind.name], id=random_id(), task_queue=queue
    )

    async def started() -> None:
        kinds = [event.event_type for event in await events_of(caller)]
        assert EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED in kinds

    await assert_eventually(started)
    await caller.signal(Employs.enough)
    return caller, client.get_workflow_handle_for(Works.run, job.workflow_id)


async def outcome_of(caller: WorkflowHandle[Any, str]) -> str:
    """What came of the operation, once the caller knows."""

    async def known() -> str:
        outcome = await caller.query(Employs.what)
        assert outcome is not None
        return outcome

    return await assert_eventually(known)


async def _story(caller: WorkflowHandle[Any, str]) -> list[str]:
    names = [EventType.Name(event.event_type) for event in await events_of(caller)]
    prefix = "EVENT_TYPE_NEXUS_OPERATION_"
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


async def told(caller: WorkflowHandle[Any, str], event: str) -> None:
    """Wait until the caller's history tells so."""

    async def was_told() -> None:
        assert event in await _story(caller)

    await assert_eventually(was_told)


async def _status(job: WorkflowHandle[Any, str]) -> WorkflowExecutionStatus | None:
    return (await job.describe()).status


async def test_cancellation_type_abandon(client: Client) -> None:
    async with served(client, JobsHandler(), workflows=(Employs, Works)) as (
        worker,
        endpoint,
    ):
        caller, job = await begun(client, worker.task_queue, endpoint, Type.ABANDON)
        assert await outcome_of(caller) == "CancelledError"
        await caller.signal(Employs.go)
        await caller.result()
        assert await _status(job) is WorkflowExecutionStatus.RUNNING
        assert await _story(caller) == ["SCHEDULED", "STARTED"]
        await job.terminate()


async def test_cancellation_type_try_cancel(client: Client) -> None:
    async with served(client, JobsHandler(), workflows=(Employs, Works)) as (
        worker,
        endpoint,
    ):
        caller, job = await begun(client, worker.task_queue, endpoint, Type.TRY_CANCEL)
        assert await outcome_of(caller) == "CancelledError"
        await job.signal(Works.stop)
        await told(caller, "CANCELED")
        await caller.signal(Employs.go)
        await caller.result()
        assert await _status(job) is WorkflowExecutionStatus.CANCELED
        assert await _story(caller) == [
            "SCHEDULED",
            "STARTED",
            "CANCEL_REQUESTED",
            "CANCEL_REQUEST_COMPLETED",
            "CANCELED",
        ]


async def test_cancellation_type_wait_requested(client: Client) -> None:
    async with served(client, JobsHandler(), workflows=(Employs, Works)) as (
        worker,
        endpoint,
    ):
        caller, job = await begun(
            client, worker.task_queue, endpoint, Type.WAIT_REQUESTED
        )
        assert await outcome_of(caller) == "CancelledError"
        assert (await _story(caller))[-1] == "CANCEL_REQUEST_COMPLETED"
        assert await _status(job) is WorkflowExecutionStatus.RUNNING
        await job.signal(Works.stop)
        await caller.signal(Employs.go)
        await caller.result()


async def test_cancellation_type_wait_completed(client: Client) -> None:
    async with served(client, JobsHandler(), workflows=(Employs, Works)) as (
        worker,
        endpoint,
    ):
        caller, job = await begun(
            client, worker.task_queue, endpoint, Type.WAIT_COMPLETED
        )
        await told(caller, "CANCEL_REQUEST_COMPLETED")
        assert await caller.query(Employs.what) is None
        await job.signal(Works.stop)
        assert await outcome_of(caller) == "CancelledError"
        assert await _status(job) is WorkflowExecutionStatus.CANCELED
        await caller.signal(Employs.go)
        await caller.result()


@pytest.mark.parametrize("kind", list(Type), ids=lambda each: each.name)
async def test_cancellation_type_when_cancel_handler_fails(
    client: Client, kind: Type
) -> None:
    async with served(client, JobsHandler(), workflows=(Employs, Works)) as (
        worker,
        endpoint,
    ):
        caller, job = await begun(
            client, worker.task_queue, endpoint, kind, refuses=True
        )
        if kind is not Type.ABANDON:
            await told(caller, "CANCEL_REQUEST_FAILED")
        if kind is Type.WAIT_COMPLETED:
            assert await caller.query(Employs.what) is None
            await job.signal(Works.be_done)
        expected = {Type.WAIT_COMPLETED: "done", Type.WAIT_REQUESTED: "HandlerError"}
        outcome = await outcome_of(caller)
        assert outcome == expected.get(kind, CancelledError.__name__)
        await caller.signal(Employs.go)
        await caller.result()
        assert ("CANCEL_REQUESTED" in await _story(caller)) == (
            kind is not Type.ABANDON
        )
        if kind is not Type.WAIT_COMPLETED:
            await job.terminate()
