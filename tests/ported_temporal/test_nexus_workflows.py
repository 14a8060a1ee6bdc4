"""Nexus operations with workflows behind them, and what links both histories."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import nexus, workflow
from dbosify.api.enums.v1 import EventType
from dbosify.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from dbosify.common import WorkflowIDConflictPolicy
from dbosify.exceptions import (
    CancelledError,
    NexusOperationError,
    WorkflowAlreadyStartedError,
)
from tests.ported_temporal.nexus_calls import served
from tests.ported_temporal.scaffold import assert_eventually, events_of, random_id

pytestmark = pytest.mark.needs("nexus operations")


@dataclass
class Order:
    """What is ordered.

    Attributes:
        how: By which operation.
        workflow_id: Of the workflow behind it.
        value: Its argument.
    """

    how: str
    workflow_id: str
    value: int = 2


@nexusrpc.service
class Shop:
    """Takes orders."""

    order: nexusrpc.Operation[Order, int]
    temporal: nexusrpc.Operation[Order, int]
    headers: nexusrpc.Operation[None, dict[str, str]]


@workflow.defn
class Doubles:
    """Doubles its argument."""

    @workflow.run
    async def run(self, value: int, factor: int = 2) -> int:
        """Double."""
        return value * factor


@workflow.defn
class Nothing:
    """Takes no argument."""

    @workflow.run
    async def run(self) -> int:
        """Give nothing."""
        return 0


@workflow.defn
class Waits:
    """Waits to be told."""

    def __init__(self) -> None:
        """Not told yet."""
        self._told = 0

    @workflow.run
    async def run(self) -> int:
        """Wait."""
        await workflow.wait_condition(lambda: self._told > 0)
        return self._told

    @workflow.signal
    def tell(self, value: int) -> None:
        """Tell."""
        self._told = value


ANSWERED, ENDED = "CANCEL_REQUEST_COMPLETED", "CANCELED"
REQUESTED_THEN: dict[str, list[list[str]]] = {
    "dbosify": [[ANSWERED, ENDED], [ENDED]],
    "temporal": [[ANSWERED, ENDED], [ENDED], []],
}
"""What may stand in the caller's history after its request to cancel."""


class Interrupted(Exception):
    """A start that the handler did not mean to succeed."""


@nexusrpc.handler.service_handler(service=Shop)
class ShopHandler:
    """Its handler."""

    def __init__(self) -> None:
        """No error was seen."""
        self.errors: list[Exception] = []

    @nexus.workflow_run_operation
    async def order(
        self, ctx: nexus.WorkflowRunOperationContext, order: Order
    ) -> nexus.WorkflowHandle[int]:
        """Start what is ordered."""
        wid = order.workflow_id
        match order.how:
            case "no_param":
                return await ctx.start_workflow(Nothing.run, id=wid)
            case "single_param":
                return await ctx.start_workflow(Doubles.run, order.value, id=wid)
            case "multi_param":
                return await ctx.start_workflow(
                    Doubles.run, args=[order.value, 2], id=wid
                )
            case "by_name":
                return await ctx.start_workflow(
                    "Doubles", order.value, id=wid, result_type=int
                )
            case "by_name_multi_param":
                return await ctx.start_workflow(
                    "Doubles", args=[order.value, 2], id=wid, result_type=int
                )
            case "after another":
                first = await nexus.client().execute_workflow(
                    Doubles.run,
                    order.value,
                    id=random_id(),
                    task_queue=nexus.info().task_queue,
                )
                return await ctx.start_workflow(Doubles.run, first, id=wid)
            case _:
                return await ctx.start_workflow(
                    Waits.run,
                    id=wid,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                )

    @nexus.temporal_operation
    async def temporal(
        self,
        ctx: nexus.TemporalStartOperationContext,
        client: nexus.TemporalNexusClient,
        order: Order,
    ) -> nexus.TemporalOperationResult[int]:
        """The same, by a client of the operation's own."""
        match order.how:
            case "at once":
                return nexus.TemporalOperationResult.sync(order.value)
            case "twice":
                await client.start_workflow(Nothing.run, id=random_id())
            case "after a failure":
                with pytest.raises(WorkflowAlreadyStartedError) as raised:
                    await client.start_workflow(Nothing.run, id=order.workflow_id)
                self.errors.append(raised.value)
                return await client.start_workflow(
                    Doubles.run, order.value, id=random_id()
                )
            case "side by side":
                starts = [
                    client.start_workflow(Doubles.run, order.value, id=random_id())
                    for _ in range(2)
                ]
                done = await asyncio.gather(*starts, return_exceptions=True)
                self.errors += [one for one in done if isinstance(one, Exception)]
                (result,) = [one for one in done if not isinstance(one, BaseException)]
                return result
            case "waits":
                return await client.start_workflow(Waits.run, id=order.workflow_id)
        return await client.start_workflow(
            Doubles.run, order.value, id=order.workflow_id
        )

    @nexusrpc.handler.sync_operation
    async def headers(
        self, ctx: nexusrpc.handler.StartOperationContext, _: None
    ) -> dict[str, str]:
        """What headers came."""
        return dict(ctx.headers)


@workflow.defn
class Orders:
    """Orders; ends as the order does."""

    @workflow.run
    async def run(self, endpoint: str, operation: str, order: Order) -> int:
        """Order."""
        client = workflow.create_nexus_client(service=Shop, endpoint=endpoint)
        wanted = Shop.order if operation == "order" else Shop.temporal
        return await client.execute_operation(wanted, order)


@workflow.defn
class SendsHeaders:
    """Gives the headers that its operation got."""

    @workflow.run
    async def run(self, endpoint: str) -> dict[str, str]:
        """Send some."""
        client = workflow.create_nexus_client(service=Shop, endpoint=endpoint)
        return await client.execute_operation(
            Shop.headers, None, headers={"Test-Header": "its value"}
        )


WORKFLOWS = (Orders, SendsHeaders, Doubles, Nothing, Waits)
HOW = ["no_param", "single_param", "multi_param", "by_name", "by_name_multi_param"]


def _args(endpoint: str, operation: str, how: str, wid: str = "") -> list[Any]:
    return [endpoint, operation, Order(how, wid or random_id())]


@pytest.mark.parametrize("how", HOW)
async def test_workflow_run_operation_overloads(client: Client, how: str) -> None:
    async with served(client, ShopHandler(), workflows=WORKFLOWS) as (worker, endpoint):
        result = await client.execute_workflow(
            Orders.run,
            args=_args(endpoint, "order", how),
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == (0 if how == "no_param" else 4)


async def test_an_operation_may_run_a_workflow_before_the_one_behind_it(
    client: Client,
) -> None:
    async with served(client, ShopHandler(), workflows=WORKFLOWS) as (worker, endpoint):
        result = await client.execute_workflow(
            Orders.run,
            args=_args(endpoint, "order", "after another"),
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == 8


async def test_start_operation_headers(client: Client) -> None:
    async with served(client, ShopHandler(), workflows=WORKFLOWS) as (worker, endpoint):
        headers = await client.execute_workflow(
            SendsHeaders.run, endpoint, id=random_id(), task_queue=worker.task_queue
        )
    assert headers["test-header"] == "its value"


async def test_multiple_operation_invocations_can_connect_to_same_handler_workflow(
    client: Client,
) -> None:
    wid = random_id()
    async with served(client, ShopHandler(), workflows=WORKFLOWS) as (worker, endpoint):
        callers = [
            await client.start_workflow(
                Orders.run,
                args=_args(endpoint, "order", "waits", wid),
                id=random_id(),
                task_queue=worker.task_queue,
            )
            for _ in range(5)
        ]

        async def all_begun() -> None:
            for caller in callers:
                kinds = [event.event_type for event in await events_of(caller)]
                assert EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED in kinds

        await assert_eventually(all_begun)
        described = await client.get_workflow_handle(wid).describe()
        assert len(described.raw_description.callbacks) == 5
        await client.get_workflow_handle(wid).signal(Waits.tell, 7)
        assert [await caller.result() for caller in callers] == [7] * 5


@pytest.mark.parametrize("cancel", [False, True], ids=["done", "cancelled"])
async def test_async_response(client: Client, cancel: bool) -> None:
    wid = random_id()
    async with served(client, ShopHandler(), workflows=WORKFLOWS) as (worker, endpoint):
        caller = await client.start_workflow(
            Orders.run,
            args=_args(endpoint, "order", "waits", wid),
            id=random_id(),
            task_queue=worker.task_queue,
        )
        job = client.get_workflow_handle(wid)

        async def begun() -> list[Any]:
            events = await events_of(caller)
            kinds = [event.event_type for event in events]
            assert EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED in kinds
            return events

        events = await assert_eventually(begun)
        run_id = caller.first_execution_run_id
        (scheduled,) = [
            event.event_id
            for event in events
            if event.event_type == EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED
        ]
        (started,) = [
            event
            for event in events
            if event.event_type == EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED
        ]
        (to_job,) = started.links
        assert to_job.workflow_event.workflow_id == wid
        first = (await events_of(job))[0]
        (to_caller,) = [
            *first.links,
            *(
                link
                for callback in (
                    first.workflow_execution_started_event_attributes
                ).completion_callbacks
                for link in callback.links
            ),
        ]
        assert to_caller.workflow_event.workflow_id == caller.id
        assert to_caller.workflow_event.run_id == run_id
        assert to_caller.workflow_event.event_ref.event_id == scheduled

        if cancel:
            await caller.cancel()
            with pytest.raises(WorkflowFailureError):
                await caller.result()
            status = WorkflowExecutionStatus.CANCELED
        else:
            await job.signal(Waits.tell, 3)
            assert await caller.result() == 3
            status = WorkflowExecutionStatus.COMPLETED
        assert (await job.describe()).status is status


@pytest.mark.parametrize(
    ("end", "cause"), [("terminate", "Error"), ("cancel", "CancelledError")]
)
async def test_the_end_of_the_workflow_behind_it_is_the_operations(
    client: Client, end: str, cause: str
) -> None:
    wid = random_id()
    async with served(client, ShopHandler(), workflows=WORKFLOWS) as (worker, endpoint):
        caller = await client.start_workflow(
            Orders.run,
            args=_args(endpoint, "order", "waits", wid),
            id=random_id(),
            task_queue=worker.task_queue,
        )

        async def begun() -> None:
            assert "STARTED" in await _nexus_events(caller)

        await assert_eventually(begun)
        await getattr(client.get_workflow_handle(wid), end)()
        with pytest.raises(WorkflowFailureError) as failed:
            await caller.result()
        assert isinstance(failed.value.cause, NexusOperationError)
        assert cause in type(failed.value.cause.cause).__name__


async def test_temporal_operation_start_workflow(client: Client) -> None:
    async with served(client, ShopHandler(), workflows=WORKFLOWS) as (worker, endpoint):
        handle = await client.start_workflow(
            Orders.run,
            args=_args(endpoint, "temporal", "plain"),
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert await handle.result() == 4
        assert await _nexus_events(handle) == ["SCHEDULED", "STARTED", "COMPLETED"]


async def test_temporal_operation_sync_result(client: Client) -> None:
    async with served(client, ShopHandler(), workflows=WORKFLOWS) as (worker, endpoint):
        handle = await client.start_workflow(
            Orders.run,
            args=_args(endpoint, "temporal", "at once"),
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert await handle.result() == 2
        assert await _nexus_events(handle) == ["SCHEDULED", "COMPLETED"]


async def test_temporal_operation_double_start_raises_handler_err(
    client: Client,
) -> None:
    async with served(client, ShopHandler(), workflows=WORKFLOWS) as (worker, endpoint):
        with pytest.raises(WorkflowFailureError) as failed:
            await client.execute_workflow(
                Orders.run,
                args=_args(endpoint, "temporal", "twice"),
                id=random_id(),
                task_queue=worker.task_queue,
            )
    error = failed.value.cause
    assert isinstance(error, NexusOperationError)
    assert isinstance(error.cause, nexusrpc.HandlerError)
    assert error.cause.type is nexusrpc.HandlerErrorType.BAD_REQUEST
    assert "Only one async operation can be started" in str(error.cause)


async def test_temporal_operation_concurrent_start_raises_handler_err(
    client: Client,
) -> None:
    handler = ShopHandler()
    async with served(client, handler, workflows=WORKFLOWS) as (worker, endpoint):
        result = await client.execute_workflow(
            Orders.run,
            args=_args(endpoint, "temporal", "side by side"),
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == 4
    (error,) = handler.errors
    assert isinstance(error, nexusrpc.HandlerError)
    assert error.type is nexusrpc.HandlerErrorType.BAD_REQUEST


async def test_temporal_operation_failed_start_allows_retry(client: Client) -> None:
    handler, wid = ShopHandler(), random_id()
    async with served(client, handler, workflows=WORKFLOWS) as (worker, endpoint):
        running = await client.start_workflow(
            Waits.run, id=wid, task_queue=worker.task_queue
        )
        result = await client.execute_workflow(
            Orders.run,
            args=_args(endpoint, "temporal", "after a failure", wid),
            id=random_id(),
            task_queue=worker.task_queue,
        )
        await running.terminate()
    assert result == 4
    assert len(handler.errors) == 1


async def test_temporal_operation_cancel_workflow(client: Client, against: str) -> None:
    wid = random_id()
    async with served(client, ShopHandler(), workflows=WORKFLOWS) as (worker, endpoint):
        caller = await client.start_workflow(
            Orders.run,
            args=_args(endpoint, "temporal", "waits", wid),
            id=random_id(),
            task_queue=worker.task_queue,
        )

        async def begun() -> None:
            assert "STARTED" in await _nexus_events(caller)

        await assert_eventually(begun)
        await caller.cancel()
        with pytest.raises(WorkflowFailureError) as failed:
            await caller.result()
        assert isinstance(failed.value.cause, CancelledError | NexusOperationError)
        events = await _nexus_events(caller)
        # Once it is cancelled, the caller waits neither for the answer to its request
        # nor, on a server that is slow to write it, for the end.
        assert events[:3] == ["SCHEDULED", "STARTED", "CANCEL_REQUESTED"]
        assert events[3:] in REQUESTED_THEN[against]


async def _nexus_events(handle: Any) -> list[str]:
    names = [EventType.Name(event.event_type) for event in await events_of(handle)]
    prefix = "EVENT_TYPE_NEXUS_OPERATION_"
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
