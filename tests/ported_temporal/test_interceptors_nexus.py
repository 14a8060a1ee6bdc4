"""A worker's interceptor sees the Nexus operations that it calls and handles."""

# ruff: noqa: A002 - the SDK names these parameters

from __future__ import annotations

import asyncio
from typing import Any

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import nexus, workflow
from dbosify.client import Client
from dbosify.exceptions import NexusOperationError
from dbosify.worker import (
    ExecuteNexusOperationCancelInput,
    ExecuteNexusOperationStartInput,
    Interceptor,
    NexusOperationInboundInterceptor,
    StartNexusOperationInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from tests.ported_temporal.nexus_calls import served
from tests.ported_temporal.scaffold import random_id

with workflow.unsafe.imports_passed_through():
    from tests.ported_temporal import interceptor_traces

pytestmark = pytest.mark.needs("nexus operations")


def note(kind: str, first: object) -> None:
    """Note a call."""
    interceptor_traces.noted.append((kind, first))


class NotingNexus(Interceptor):
    """Notes calls in and out."""

    def intercept_nexus_operation(
        self, next: NexusOperationInboundInterceptor
    ) -> NexusOperationInboundInterceptor:
        """Those that come in."""
        return NotingOperations(super().intercept_nexus_operation(next))

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        """Those that go out."""
        return NotingCallers


class NotingOperations(NexusOperationInboundInterceptor):
    async def execute_nexus_operation_start(
        self, input: ExecuteNexusOperationStartInput
    ) -> (
        nexusrpc.handler.StartOperationResultSync[Any]
        | nexusrpc.handler.StartOperationResultAsync
    ):
        note(f"nexus.start {input.ctx.operation}", input.input)
        return await super().execute_nexus_operation_start(input)

    async def execute_nexus_operation_cancel(
        self, input: ExecuteNexusOperationCancelInput
    ) -> None:
        note(f"nexus.cancel {input.ctx.operation}", bool(input.token))
        await super().execute_nexus_operation_cancel(input)


class NotingCallers(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(NotingCalls(outbound))


class NotingCalls(WorkflowOutboundInterceptor):
    async def start_nexus_operation(
        self, input: StartNexusOperationInput[Any, Any]
    ) -> workflow.NexusOperationHandle[Any]:
        if not workflow.unsafe.is_replaying_history_events():
            note("workflow.start_nexus_operation", input.input)
        return await super().start_nexus_operation(input)


@workflow.defn
class Endless:
    """Behind an operation: ends only when it is cancelled."""

    @workflow.run
    async def run(self, _input: str) -> str:
        """Wait for ever."""
        await asyncio.Event().wait()
        return "never"


@nexusrpc.service
class Noted:
    """Two kinds of operations."""

    at_once: nexusrpc.Operation[str, str]
    endless: nexusrpc.Operation[str, str]


@nexusrpc.handler.service_handler(service=Noted)
class NotedHandler:
    """Its handler."""

    @nexusrpc.handler.sync_operation
    async def at_once(
        self, _ctx: nexusrpc.handler.StartOperationContext, input: str
    ) -> str:
        """Answer at once."""
        return f"answer to {input}"

    @nexus.workflow_run_operation
    async def endless(
        self, ctx: nexus.WorkflowRunOperationContext, input: str
    ) -> nexus.WorkflowHandle[str]:
        """Let a workflow answer, if it ever does."""
        return await ctx.start_workflow(Endless.run, input, id=random_id())


@workflow.defn
class CallsNoted:
    """Calls one operation, and cancels another."""

    @workflow.run
    async def run(self, endpoint: str) -> list[str]:
        """Call and cancel."""
        client = workflow.create_nexus_client(service=Noted, endpoint=endpoint)
        answer = await client.execute_operation(Noted.at_once, "question")
        handle = await client.start_operation(Noted.endless, "too much")
        handle.cancel()
        try:
            return [answer, await handle]
        except NexusOperationError as error:
            return [answer, type(error.cause).__name__]


async def test_worker_interceptor_of_nexus_operations(client: Client) -> None:
    interceptor_traces.noted.clear()
    async with served(
        client,
        NotedHandler(),
        workflows=(CallsNoted, Endless),
        interceptors=[NotingNexus()],
    ) as (worker, endpoint):
        result = await client.execute_workflow(
            CallsNoted.run, endpoint, id=random_id(), task_queue=worker.task_queue
        )
    assert result == ["answer to question", "CancelledError"]
    assert interceptor_traces.noted == [
        ("workflow.start_nexus_operation", "question"),
        ("nexus.start at_once", "question"),
        ("workflow.start_nexus_operation", "too much"),
        ("nexus.start endless", "too much"),
        ("nexus.cancel endless", True),
    ]
