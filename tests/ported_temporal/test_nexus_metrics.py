"""Metrics that handlers of Nexus operations emit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import nexus, workflow
from dbosify.client import Client
from dbosify.runtime import (
    BUFFERED_METRIC_KIND_COUNTER,
    MetricBuffer,
    Runtime,
    TelemetryConfig,
)
from tests.fix_backend import Connect
from tests.ported_temporal.nexus_calls import served
from tests.ported_temporal.scaffold import random_id

with workflow.unsafe.imports_passed_through():
    from tests.ported_temporal.test_metrics import expect_line, scraping, updates_of

pytestmark = pytest.mark.needs("nexus operations")


@nexusrpc.service
class Counting:
    """Counts."""

    in_loop: nexusrpc.Operation[None, None]
    in_thread: nexusrpc.Operation[None, None]


@nexusrpc.handler.service_handler(service=Counting)
class CountingHandler:
    """Its handler."""

    @nexusrpc.handler.sync_operation
    async def in_loop(
        self, _ctx: nexusrpc.handler.StartOperationContext, _input: None
    ) -> None:
        """Count on the event loop."""
        nexus.metric_meter().create_counter("loop-counter", "loop-desc", "unit").add(12)

    @nexusrpc.handler.sync_operation
    def in_thread(
        self, _ctx: nexusrpc.handler.StartOperationContext, _input: None
    ) -> None:
        """Count in a thread."""
        nexus.metric_meter().create_counter(
            "thread-counter", "thread-desc", "unit"
        ).add(30, {"extra": 12.34})


@workflow.defn
class CallsCounting:
    """Calls both."""

    @workflow.run
    async def run(self, endpoint: str) -> None:
        """Call."""
        client = workflow.create_nexus_client(service=Counting, endpoint=endpoint)
        await client.execute_operation(Counting.in_loop, None)
        await client.execute_operation(Counting.in_thread, None)


async def counted(client: Client) -> str:
    """Have both operations called; give the task queue."""
    with ThreadPoolExecutor(1) as pool:
        async with served(
            client,
            CountingHandler(),
            workflows=(CallsCounting,),
            nexus_task_executor=pool,
        ) as (worker, endpoint):
            await client.execute_workflow(
                CallsCounting.run,
                endpoint,
                id=random_id(),
                task_queue=worker.task_queue,
            )
    return worker.task_queue


async def test_workflow_caller_custom_metrics(connect: Connect) -> None:
    runtime, scrape = scraping()
    task_queue = await counted(await connect(runtime=runtime))
    lines = scrape()
    labels = {"nexus_service": "Counting", "task_queue": task_queue}
    expect_line(lines, "loop_counter", {**labels, "nexus_operation": "in_loop"}, 12)
    of_thread = {**labels, "nexus_operation": "in_thread", "extra": "12.34"}
    expect_line(lines, "thread_counter", of_thread, 30)
    assert "# HELP loop_counter loop-desc" in lines
    assert "# HELP thread_counter thread-desc" in lines


async def test_workflow_caller_buffered_metrics(connect: Connect) -> None:
    buffer = MetricBuffer(10000)
    runtime = Runtime(telemetry=TelemetryConfig(metrics=buffer))
    task_queue = await counted(await connect(runtime=runtime))
    updates = buffer.retrieve_updates()
    labels = {"nexus_service": "Counting", "task_queue": task_queue}
    [of_loop] = updates_of(updates, "loop-counter", nexus_operation="in_loop", **labels)
    [of_thread] = updates_of(
        updates, "thread-counter", nexus_operation="in_thread", **labels
    )
    for update, value, description in (
        (of_loop, 12, "loop-desc"),
        (of_thread, 30, "thread-desc"),
    ):
        assert update.value == value
        assert update.metric.kind == BUFFERED_METRIC_KIND_COUNTER
        assert update.metric.description == description
    assert of_thread.attributes["extra"] == 12.34
    assert "extra" not in of_loop.attributes
