"""Spans of a workflow that waits for a person: one tree, whatever is replayed."""

import pytest

pytest.importorskip("opentelemetry.sdk", reason="needs opentelemetry-sdk")

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from temporalio.contrib.opentelemetry import (
    OpenTelemetryPlugin,
    create_tracer_provider,
)

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.worker import Replayer, Worker
from tests.ported_temporal.scaffold import random_id, sandboxed_runner

with workflow.unsafe.imports_passed_through():
    import opentelemetry.trace
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
        InMemorySpanExporter,
    )

TEN_SECONDS = timedelta(seconds=10)


@activity.defn
async def ask_model(prompt: str) -> str:
    """What stands for a model."""
    tracer = opentelemetry.trace.get_tracer(__name__)
    with tracer.start_as_current_span("generation"):
        return f"answered: {prompt}"


@workflow.defn
class TriageWorkflow:
    """Sorts a ticket, and answers it if a person agrees."""

    def __init__(self) -> None:
        self._approved: bool | None = None

    @workflow.run
    async def run(self, ticket: str) -> str:
        tracer = opentelemetry.trace.get_tracer(__name__)
        with tracer.start_as_current_span("triage"):
            for question in ("category", "urgency"):
                await self._ask(f"{question} of {ticket}")
        await workflow.wait_condition(lambda: self._approved is not None)
        if not self._approved:
            return "declined"
        with tracer.start_as_current_span("draft"):
            return await self._ask(ticket)

    async def _ask(self, prompt: str) -> str:
        return await workflow.execute_activity(
            ask_model, prompt, start_to_close_timeout=TEN_SECONDS
        )

    @workflow.update
    def decide(self, approved: bool) -> None:
        self._approved = approved

    @decide.validator
    def decide_once(self, approved: bool) -> None:
        if self._approved is not None:
            raise ValueError("it has been decided")


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Where the spans of the test go; a process has one provider at a time."""
    exporter = InMemorySpanExporter()
    provider = create_tracer_provider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def tree_of(spans: tuple[ReadableSpan, ...]) -> list[str]:
    """The names of spans in the order of their starts, each below its parent."""
    begun = sorted(spans, key=lambda span: span.start_time or 0)

    def below(parent: int | None, depth: int) -> list[str]:
        found = []
        for span in begun:
            if (span.parent.span_id if span.parent else None) == parent:
                assert span.context is not None
                found.append(f"{'  ' * depth}{span.name}")
                found += below(span.context.span_id, depth + 1)
        return found

    return below(None, 0)


ASKED = ["StartActivity:ask_model", "  RunActivity:ask_model", "    generation"]


def indented(by: int, lines: list[str]) -> list[str]:
    """Lines further to the right."""
    return [f"{'  ' * by}{line}" for line in lines]


@pytest.mark.parametrize("approved", [True, False], ids=["approved", "declined"])
async def test_spans_are_emitted_once_whatever_is_replayed(
    client: Client, exporter: InMemorySpanExporter, approved: bool
) -> None:
    plugin = OpenTelemetryPlugin(add_temporal_spans=True)
    config: Any = client.config()
    tracing = Client(**{**config, "plugins": [plugin]})
    queue = random_id("queue")
    async with Worker(
        tracing,
        task_queue=queue,
        workflows=[TriageWorkflow],
        activities=[ask_model],
        workflow_runner=sandboxed_runner(),
        max_cached_workflows=0,
    ):
        handle = await tracing.start_workflow(
            TriageWorkflow.run, "a ticket", id=random_id(), task_queue=queue
        )
        await handle.execute_update(TriageWorkflow.decide, approved)
        answer = await handle.result()
        history = await handle.fetch_history()
    assert answer == ("answered: a ticket" if approved else "declined")
    spans = exporter.get_finished_spans()
    draft = ["draft", *indented(1, ASKED)] if approved else []
    assert tree_of(spans) == [
        "StartWorkflow:TriageWorkflow",
        "  RunWorkflow:TriageWorkflow",
        "    triage",
        *indented(3, ASKED * 2),
        *indented(2, draft),
        "StartWorkflowUpdate:decide",
        "  ValidateUpdate:decide",
        "  HandleUpdate:decide",
    ]
    ids = [span.context.span_id for span in spans if span.context]
    assert len(set(ids)) == len(ids)
    replayer = Replayer(
        workflows=[TriageWorkflow],
        plugins=[plugin],
        workflow_runner=sandboxed_runner(),
    )
    await replayer.replay_workflow(history)
    assert len(exporter.get_finished_spans()) == len(spans)
