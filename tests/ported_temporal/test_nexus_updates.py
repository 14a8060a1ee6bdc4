"""Operations with an update of a workflow behind them."""

from __future__ import annotations

import asyncio
from typing import Any

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import nexus, workflow
from dbosify.api.enums.v1 import EventType
from dbosify.api.history.v1 import HistoryEvent
from dbosify.client import Client, WorkflowFailureError, WorkflowUpdateStage
from tests.ported_temporal.nexus_calls import endpoint_for, served
from tests.ported_temporal.scaffold import events_of, new_worker, random_id

pytestmark = pytest.mark.needs("nexus operations")


@workflow.defn
class Counter:
    """Is told numbers until it is told to end."""

    def __init__(self) -> None:
        """Nothing was added yet."""
        self._sum = 0
        self._over = False

    @workflow.run
    async def run(self) -> int:
        """Wait."""
        await workflow.wait_condition(lambda: self._over)
        return self._sum

    @workflow.update
    async def add(self, number: int) -> str:
        """Add, after a while."""
        await workflow.sleep(0.1)
        self._sum += number
        return f"sum {self._sum}"

    @workflow.signal
    def end(self) -> None:
        """End."""
        self._over = True


@nexusrpc.service
class Counts:
    """Takes the ids of the counter and of the update."""

    add: nexusrpc.Operation[tuple[str, str], str]


@nexusrpc.handler.service_handler(service=Counts)
class CountsHandler:
    """Its handler."""

    @nexus.temporal_operation
    async def add(
        self,
        ctx: nexus.TemporalStartOperationContext,
        client: nexus.TemporalNexusClient,
        ids: tuple[str, str],
    ) -> nexus.TemporalOperationResult[str]:
        """An update."""
        counter, update_id = ids
        return await client.start_workflow_update(
            counter,
            Counter.add,
            5,
            update_id=update_id,
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
        )


@workflow.defn
class Adds:
    """Calls the operation."""

    @workflow.run
    async def run(self, endpoint: str, counter: str, update_id: str) -> list[Any]:
        """Call it; its result, and whether it took a while."""
        client = workflow.create_nexus_client(service=Counts, endpoint=endpoint)
        handle = await client.start_operation(Counts.add, (counter, update_id))
        return [await handle, handle.operation_token is not None]


async def add(client: Client, endpoint: str, queue: str, *ids: str) -> Any:
    """Call the operation from a new workflow; gives its handle."""
    return await client.start_workflow(
        Adds.run, args=[endpoint, *ids], id=random_id("adds"), task_queue=queue
    )


async def of_kind(handle: Any, kind: EventType.ValueType) -> list[HistoryEvent]:
    """The events of one kind."""
    return [event for event in await events_of(handle) if event.event_type == kind]


async def linked(caller: Any, counter: Any) -> None:
    """Check that operation and update name each other."""
    (scheduled,) = await of_kind(caller, EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED)
    (started,) = await of_kind(caller, EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED)
    accepted, *_ = await of_kind(
        counter, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    )
    (there,) = started.links
    assert there.workflow_event.workflow_id == counter.id
    (back,) = accepted.links
    assert back.workflow_event.workflow_id == caller.id
    assert back.workflow_event.event_ref.event_id == scheduled.event_id


async def test_temporal_operation_update_workflow(client: Client) -> None:
    async with served(client, CountsHandler(), workflows=(Counter, Adds)) as (
        worker,
        endpoint,
    ):
        queue = worker.task_queue
        counter = await client.start_workflow(
            Counter.run, id=random_id("counter"), task_queue=queue
        )
        caller = await add(client, endpoint, queue, counter.id, "one")
        assert await caller.result() == ["sum 5", True]
        await linked(caller, counter)
        again = await add(client, endpoint, queue, counter.id, "one")
        assert await again.result() == ["sum 5", False]
        three = [await add(client, endpoint, queue, counter.id, "two") for _ in "abc"]
        results = await asyncio.gather(*(each.result() for each in three))
        assert [result for result, _ in results] == ["sum 10"] * 3
        await counter.signal(Counter.end)
        assert await counter.result() == 10
        late = await add(client, endpoint, queue, counter.id, "three")
        with pytest.raises(WorkflowFailureError):
            await late.result()


async def test_temporal_operation_update_workflow_delayed(client: Client) -> None:
    queue = random_id("queue")
    async with endpoint_for(client, queue) as endpoint:
        counter = await client.start_workflow(
            Counter.run, id=random_id("counter"), task_queue=queue
        )
        caller = await add(client, endpoint, queue, counter.id, "one")
        async with new_worker(
            client,
            Counter,
            Adds,
            nexus_service_handlers=[CountsHandler()],
            task_queue=queue,
        ):
            assert await caller.result() == ["sum 5", True]
            await linked(caller, counter)
            await counter.signal(Counter.end)
            await counter.result()
