"""Libraries written for Temporal's SDK work unmodified.

What they import, here too, is ``temporalio``: that only works as long as its classes
are the very ones that ``dbosify`` gives its users.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import temporalio.activity
import temporalio.worker
import temporalio.workflow
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter

from dbosify import activity, workflow
from dbosify.client import Client
from tests.ported_temporal.scaffold import new_worker, random_id, sandboxed_runner

with workflow.unsafe.imports_passed_through():
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
        InMemorySpanExporter,
    )
    from pydantic import BaseModel, Field

TIMEOUT = timedelta(seconds=10)


def client_with(client: Client, **options: Any) -> Client:
    """Another client of the same service with other options."""
    config: dict[str, Any] = {**client.config(), **options}
    return Client(**config)


class Item(BaseModel):
    """What the plain JSON converter could neither write nor read."""

    id: UUID
    price: Decimal = Field(gt=0)
    notice: timedelta


class Cart(BaseModel):
    items: list[Item]


@activity.defn
async def sum_up(cart: Cart) -> Decimal:
    assert all(isinstance(item, Item) for item in cart.items)
    return sum((item.price for item in cart.items), Decimal(0))


@workflow.defn
class AddWorkflow:
    """Adds an item to a cart as dear as all the others together."""

    @workflow.run
    async def run(self, cart: Cart) -> Cart:
        total = await workflow.execute_activity(
            sum_up, cart, start_to_close_timeout=TIMEOUT
        )
        assert isinstance(total, Decimal)
        one_more = Item(id=UUID(int=2), price=total, notice=timedelta(days=1))
        return Cart(items=[*cart.items, one_more])


async def test_pydantic_models_go_through_workflow_and_activity(
    client: Client,
) -> None:
    modelling = client_with(client, data_converter=pydantic_data_converter)
    item = Item(id=UUID(int=1), price=Decimal("12.30"), notice=timedelta(hours=3))
    async with new_worker(modelling, AddWorkflow, activities=[sum_up]) as worker:
        result = await modelling.execute_workflow(
            AddWorkflow.run,
            Cart(items=[item, item]),
            id=random_id(),
            task_queue=worker.task_queue,
        )
    one_more = Item(id=UUID(int=2), price=Decimal("24.60"), notice=timedelta(days=1))
    assert result == Cart(items=[item, item, one_more])


@activity.defn
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn
class GreetingWorkflow:
    """Greets whoever is named by a signal."""

    def __init__(self) -> None:
        self._name: str | None = None

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self._name is not None)
        return await workflow.execute_activity(
            greet, self._name or "", start_to_close_timeout=TIMEOUT
        )

    @workflow.signal
    def name(self, name: str) -> None:
        self._name = name

    @workflow.query
    def named(self) -> str | None:
        return self._name


@pytest.fixture
def spans() -> Iterator[tuple[TracingInterceptor, InMemorySpanExporter]]:
    """An interceptor that traces, and where its spans are kept."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield TracingInterceptor(provider.get_tracer(__name__)), exporter
    provider.shutdown()


def tree_of(spans: Sequence[ReadableSpan]) -> list[str]:
    """The spans' names in the order of their starts, indented under their parents."""
    children: dict[int | None, list[ReadableSpan]] = {}
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        parent = span.parent.span_id if span.parent else None
        children.setdefault(parent, []).append(span)

    def lines(parent: int | None, depth: int) -> Iterator[str]:
        for span in children.get(parent, ()):
            assert span.context is not None
            yield "  " * depth + span.name
            yield from lines(span.context.span_id, depth + 1)

    return list(lines(None, 0))


async def test_opentelemetry_traces_client_workflow_and_activity(
    client: Client, spans: tuple[TracingInterceptor, InMemorySpanExporter]
) -> None:
    interceptor, exporter = spans
    tracing = client_with(client, interceptors=[interceptor])
    async with new_worker(tracing, GreetingWorkflow, activities=[greet]) as worker:
        handle = await tracing.start_workflow(
            GreetingWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.query(GreetingWorkflow.named) is None
        await handle.signal(GreetingWorkflow.name, "Temporal")
        assert await handle.result() == "Hello, Temporal!"
    finished = exporter.get_finished_spans()
    assert tree_of(finished) == [
        "StartWorkflow:GreetingWorkflow",
        "  RunWorkflow:GreetingWorkflow",
        "  HandleSignal:name",
        "  StartActivity:greet",
        "    RunActivity:greet",
        "  CompleteWorkflow:GreetingWorkflow",
        "QueryWorkflow:named",
        "  HandleQuery:named",
        "SignalWorkflow:name",
    ]
    named = {span.name: span for span in finished}
    (link,) = named["HandleSignal:name"].links
    signalled = named["SignalWorkflow:name"].context
    assert signalled is not None
    assert link.context.trace_id == signalled.trace_id
    assert link.context.span_id == signalled.span_id
    ran = named["RunActivity:greet"].attributes
    assert ran is not None
    assert ran["temporalWorkflowID"] == handle.id
    assert ran["temporalRunID"] == handle.first_execution_run_id


@temporalio.activity.defn
async def shout(text: str) -> str:
    return text.upper()


@temporalio.workflow.defn
class ShoutWorkflow:
    @temporalio.workflow.run
    async def run(self, text: str) -> str:
        return await temporalio.workflow.execute_activity(
            shout, text, start_to_close_timeout=TIMEOUT
        )


async def test_a_worker_of_temporalio_itself_serves_what_was_written_for_it(
    client: Client,
) -> None:
    async with temporalio.worker.Worker(
        client,
        task_queue=random_id("queue"),
        workflows=[ShoutWorkflow],
        activities=[shout],
        workflow_runner=sandboxed_runner(),
    ) as worker:
        result = await client.execute_workflow(
            ShoutWorkflow.run, "hello", id=random_id(), task_queue=worker.task_queue
        )
    assert result == "HELLO"
