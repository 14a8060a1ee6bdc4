"""Handlers of Nexus operations in their many shapes, and how workflows name them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import nexus, workflow
from dbosify.client import Client, WorkflowFailureError
from dbosify.exceptions import NexusOperationError, TimeoutType
from dbosify.exceptions import TimeoutError as TemporalTimeoutError
from dbosify.workflow import NexusOperationCancellationType
from tests.ported_temporal.nexus_calls import endpoint_for, served
from tests.ported_temporal.scaffold import assert_eventually, new_worker, random_id

pytestmark = pytest.mark.needs("nexus operations")


@dataclass
class Number:
    """A number."""

    value: int


@workflow.defn
class Echoes:
    """Gives back what it gets."""

    @workflow.run
    async def run(self, given: Any) -> Any:
        """Echo."""
        return given


@workflow.defn
class Increments:
    """Adds one."""

    @workflow.run
    async def run(self, number: Number) -> Number:
        """Add."""
        return Number(number.value + 1)


@workflow.defn
class CallsByName:
    """Calls an operation of which it knows the names."""

    @workflow.run
    async def run(self, endpoint: str, service: str, operation: str, given: Any) -> Any:
        """Call it."""
        client = workflow.create_nexus_client(service=service, endpoint=endpoint)
        return await client.execute_operation(
            operation, given, headers={"Asked-By": "me"}
        )


@workflow.defn
class CancelsByName:
    """Starts an operation and cancels it."""

    @workflow.run
    async def run(self, endpoint: str, service: str, limit: float) -> None:
        """Start, and cancel."""
        client = workflow.create_nexus_client(service=service, endpoint=endpoint)
        options: dict[str, Any] = {}
        if limit > 0:
            options["schedule_to_close_timeout"] = timedelta(seconds=limit)
        elif limit < 0:
            options["start_to_close_timeout"] = timedelta(seconds=-limit)
        handle = await client.start_operation(
            "operation",
            None,
            cancellation_type=NexusOperationCancellationType.WAIT_REQUESTED
            if limit == 0
            else NexusOperationCancellationType.WAIT_COMPLETED,
            headers={"Asked-By": "me"},
            **options,
        )
        if limit >= 0:
            handle.cancel()
        await handle


WORKFLOWS = (CallsByName, CancelsByName, Echoes, Increments)


async def call(
    client: Client, queue: str, endpoint: str, service: str, operation: str, given: Any
) -> Any:
    """What an operation gives."""
    return await client.execute_workflow(
        CallsByName.run,
        args=[endpoint, service, operation, given],
        id=random_id(),
        task_queue=queue,
    )


# Names.


@nexusrpc.service
class Plain:
    """A service of its class's name."""

    op: nexusrpc.Operation[None, str]


@nexusrpc.service(name="Dienst-🌈")
class Renamed:
    """A service of another name."""

    op: nexusrpc.Operation[None, str]


@nexusrpc.handler.service_handler(service=Plain)
class OfPlain:
    """Implements it."""

    @nexusrpc.handler.sync_operation
    async def op(self, ctx: nexusrpc.handler.StartOperationContext, _: None) -> str:
        """Tell the class."""
        return "OfPlain"


@nexusrpc.handler.service_handler(service=Renamed)
class OfRenamed:
    """Implements it."""

    @nexusrpc.handler.sync_operation
    async def op(self, ctx: nexusrpc.handler.StartOperationContext, _: None) -> str:
        """Tell the class."""
        return "OfRenamed"


@nexusrpc.handler.service_handler(name="by itself")
class Named:
    """Has no interface, but a name."""

    @nexusrpc.handler.sync_operation
    async def op(self, ctx: nexusrpc.handler.StartOperationContext, _: None) -> str:
        """Tell the class."""
        return "Named"


@nexusrpc.handler.service_handler
class Alone:
    """Has neither."""

    @nexusrpc.handler.sync_operation
    async def op(self, ctx: nexusrpc.handler.StartOperationContext, _: None) -> str:
        """Tell the class."""
        return "Alone"


async def test_service_interface_and_implementation_names(client: Client) -> None:
    handlers = (OfPlain(), OfRenamed(), Named(), Alone())
    names = {
        "Plain": "OfPlain",
        "Dienst-🌈": "OfRenamed",
        "by itself": "Named",
        "Alone": "Alone",
    }
    async with served(client, *handlers, workflows=WORKFLOWS) as (worker, endpoint):
        for service, name in names.items():
            queue = worker.task_queue
            assert await call(client, queue, endpoint, service, "op", None) == name


# Handlers that start workflows.


@nexusrpc.handler.service_handler(name="Starts")
class Starts:
    """Starts workflows that echo."""

    @nexus.workflow_run_operation
    async def echo_headers(
        self, ctx: nexus.WorkflowRunOperationContext, _: None
    ) -> nexus.WorkflowHandle[Any]:
        """Echo the headers."""
        return await ctx.start_workflow(Echoes.run, dict(ctx.headers), id=random_id())


async def test_workflow_run_operation_headers(client: Client) -> None:
    async with served(client, Starts(), workflows=WORKFLOWS) as (worker, endpoint):
        headers = await call(
            client, worker.task_queue, endpoint, "Starts", "echo_headers", None
        )
    assert headers["asked-by"] == "me"


class IncrementOperation(nexusrpc.handler.OperationHandler[Number, Number]):
    """An operation written out."""

    async def start(
        self, ctx: nexusrpc.handler.StartOperationContext, number: Number
    ) -> nexusrpc.handler.StartOperationResultAsync:
        """Start the workflow."""
        started = nexus.WorkflowRunOperationContext._from_start_operation_context(ctx)
        handle = await started.start_workflow(Increments.run, number, id=random_id())
        return nexusrpc.handler.StartOperationResultAsync(handle.to_token())

    async def cancel(
        self, ctx: nexusrpc.handler.CancelOperationContext, token: str
    ) -> None:
        """Never called."""
        raise NotImplementedError


@nexusrpc.service
class Counting:
    """Counts."""

    increment: nexusrpc.Operation[Number, Number]


@nexusrpc.handler.service_handler(service=Counting)
class CountingHandler:
    """Its handler."""

    @nexusrpc.handler.operation_handler
    def increment(self) -> nexusrpc.handler.OperationHandler[Number, Number]:
        """The operation."""
        return IncrementOperation()


async def test_workflow_run_operation(client: Client) -> None:
    async with served(client, CountingHandler(), workflows=WORKFLOWS) as (
        worker,
        endpoint,
    ):
        result = await call(
            client, worker.task_queue, endpoint, "Counting", "increment", Number(5)
        )
    assert result == {"value": 6}


# Cancellation.


class Cancellable(nexusrpc.handler.OperationHandler[None, None]):
    """Begins, and notes what it is told."""

    def __init__(self, *, stubborn: bool = False) -> None:
        """Nothing was told."""
        self.headers: list[dict[str, str]] = []
        self.cancelled = threading.Event()
        self.stubborn = stubborn

    async def start(
        self, ctx: nexusrpc.handler.StartOperationContext, _: None
    ) -> nexusrpc.handler.StartOperationResultAsync:
        """Begin."""
        return nexusrpc.handler.StartOperationResultAsync("token")

    async def cancel(
        self, ctx: nexusrpc.handler.CancelOperationContext, token: str
    ) -> None:
        """Note it; a stubborn one waits until it is cancelled itself."""
        self.headers.append(dict(ctx.headers))
        self.cancelled.set()
        if self.stubborn:
            await ctx.task_cancellation.wait_until_cancelled()


class CancellableInThread(nexusrpc.handler.OperationHandler[None, None]):
    """The same with methods that run in threads."""

    def __init__(self) -> None:
        """Nothing was told."""
        self.cancelled = threading.Event()

    def start(
        self, ctx: nexusrpc.handler.StartOperationContext, _: None
    ) -> nexusrpc.handler.StartOperationResultAsync:
        """Begin."""
        return nexusrpc.handler.StartOperationResultAsync("token")

    def cancel(self, ctx: nexusrpc.handler.CancelOperationContext, token: str) -> None:
        """Note it."""
        self.cancelled.set()


def serving(operation: nexusrpc.handler.OperationHandler[None, None]) -> Any:
    """A service with that operation."""

    @nexusrpc.handler.service_handler(name="Serving")
    class Serving:
        @nexusrpc.handler.operation_handler(name="operation")
        def operation(self) -> nexusrpc.handler.OperationHandler[None, None]:
            return operation

    return Serving()


async def _cancels(
    client: Client, handler: Any, limit: float = 0
) -> NexusOperationError:
    options = {"nexus_task_executor": ThreadPoolExecutor(2)}
    async with served(client, handler, workflows=WORKFLOWS, **options) as (
        worker,
        endpoint,
    ):
        with pytest.raises(WorkflowFailureError) as failed:
            await client.execute_workflow(
                CancelsByName.run,
                args=[endpoint, "Serving", limit],
                id=random_id(),
                task_queue=worker.task_queue,
            )
    assert isinstance(failed.value.cause, NexusOperationError)
    return failed.value.cause


@pytest.mark.parametrize("operation", [Cancellable, CancellableInThread])
async def test_task_executor_operation_cancel_method(
    client: Client, operation: Callable[[], Any]
) -> None:
    handler = operation()
    await _cancels(client, serving(handler))
    assert await asyncio.to_thread(handler.cancelled.wait, 10)


async def test_cancel_operation_headers(client: Client) -> None:
    handler = Cancellable()
    await _cancels(client, serving(handler))
    (headers,) = handler.headers
    assert headers["asked-by"] == "me"


async def test_error_raised_by_start_to_close_timeout_of_nexus_operation(
    client: Client,
) -> None:
    error = await _cancels(client, serving(Cancellable()), -0.1)
    assert isinstance(error.__cause__, TemporalTimeoutError)
    assert error.__cause__.type is TimeoutType.START_TO_CLOSE


async def test_error_raised_by_timeout_of_nexus_cancel_operation(
    client: Client,
) -> None:
    handler = Cancellable(stubborn=True)
    error = await _cancels(client, serving(handler), 4)
    assert isinstance(error.__cause__, TemporalTimeoutError)
    assert handler.cancelled.is_set()


# The handler's client.


async def test_nexus_client_updates_when_worker_client_changes(client: Client) -> None:
    seen: list[Any] = []

    @nexusrpc.handler.service_handler(name="Sees")
    class Sees:
        @nexusrpc.handler.sync_operation
        async def see(
            self, ctx: nexusrpc.handler.StartOperationContext, _: None
        ) -> None:
            seen.append(nexus.client())

    second = Client(**client.config())
    caller = new_worker(client, *WORKFLOWS)
    server = new_worker(client, nexus_service_handlers=[Sees()])
    async with endpoint_for(client, server.task_queue) as endpoint, caller, server:
        for _ in range(2):
            await call(client, caller.task_queue, endpoint, "Sees", "see", None)
            server.client = second

        async def both() -> None:
            assert len(seen) == 2

        await assert_eventually(both)
    assert seen[0] is client
    assert seen[1] is second
