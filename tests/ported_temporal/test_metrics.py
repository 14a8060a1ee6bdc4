"""Metrics of users and of the core, through the exporters of the SDK's runtime."""

import asyncio
import re
import urllib.request
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.runtime import (
    BUFFERED_METRIC_KIND_COUNTER,
    BUFFERED_METRIC_KIND_GAUGE,
    BUFFERED_METRIC_KIND_HISTOGRAM,
    BufferedMetricUpdate,
    MetricBuffer,
    MetricBufferDurationFormat,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
)
from dbosify.worker import PollerBehaviorAutoscaling
from tests.fix_backend import Connect, free_port
from tests.ported_temporal.scaffold import (
    assert_eventually,
    new_worker,
    random_id,
)

TEN_SECONDS = timedelta(seconds=10)


@activity.defn
async def count_something() -> None:
    """Counts, once plainly and once with an attribute more."""
    counter = activity.metric_meter().create_counter(
        "custom-activity-counter", "custom-activity-desc", "custom-activity-unit"
    )
    counter.add(12)
    counter.add(34, {"custom-activity-extra-attr": 12.34})


@workflow.defn
class MeasuringWorkflow:
    """Measures, and has an activity count."""

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            count_something, schedule_to_close_timeout=TEN_SECONDS
        )
        histogram = workflow.metric_meter().create_histogram(
            "custom-workflow-histogram", "custom-workflow-desc", "custom-workflow-unit"
        )
        histogram.record(56)
        histogram.with_additional_attributes(
            {"custom-workflow-extra-attr": 1234}
        ).record(78)


async def measure(client: Client) -> str:
    """Run that workflow; give its task queue."""
    async with new_worker(
        client, MeasuringWorkflow, activities=[count_something]
    ) as worker:
        await client.execute_workflow(
            MeasuringWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
    return worker.task_queue


def scraping(**telemetry: Any) -> tuple[Runtime, Callable[[], list[str]]]:
    """A runtime with Prometheus, and a way to see its metrics, line by line."""
    address = f"127.0.0.1:{free_port()}"
    options = telemetry.pop("prometheus", {})
    runtime = Runtime(
        telemetry=TelemetryConfig(
            metrics=PrometheusConfig(bind_address=address, **options), **telemetry
        )
    )

    def scrape() -> list[str]:
        with urllib.request.urlopen(f"http://{address}/metrics") as page:
            return str(page.read().decode()).splitlines()

    return runtime, scrape


def expect_line(
    lines: Iterable[str], name: str, labels: dict[str, str], value: int
) -> None:
    """A metric has these labels, others or not, and this value."""
    named = [line for line in lines if line.startswith(f"{name}{{")]
    for line in named:
        found = dict(re.findall(r'(\w+)="([^"]*)"', line))
        if labels.items() <= found.items() and line.endswith(f" {value}"):
            return
    pytest.fail(f"no {name} {labels} = {value} among {named}")


async def test_workflow_custom_metrics(client: Client, connect: Connect) -> None:
    await measure(client)  # A runtime that collects nothing does no harm.

    runtime, scrape = scraping(
        metric_prefix="foo_",
        global_tags={"my_global_tag": "yes"},
    )
    with pytest.raises(TypeError) as wrong_type:
        runtime.metric_meter.with_additional_attributes({"some_attr": None})  # type: ignore[dict-item]
    assert str(wrong_type.value).startswith("Invalid value type for key")
    gauge = runtime.metric_meter.with_additional_attributes(
        {"my-runtime-extra-attr1": "val1", "my-runtime-extra-attr2": True}
    ).create_gauge("my-runtime-gauge", "my-runtime-desc")
    gauge.set(90)
    task_queue = await measure(await connect(runtime=runtime))

    lines = scrape()
    labels = {"my_runtime_extra_attr1": "val1", "my_runtime_extra_attr2": "true"}
    common = {"service_name": "temporal-core-sdk", "my_global_tag": "yes"}
    expect_line(lines, "my_runtime_gauge", labels | common, 90)
    of_workflow = {
        "namespace": "default",
        "task_queue": task_queue,
        "workflow_type": "MeasuringWorkflow",
    }
    extra = {"custom_workflow_extra_attr": "1234"}
    total = "custom_workflow_histogram_sum"
    expect_line(lines, total, of_workflow, 56)
    expect_line(lines, total, of_workflow | extra, 78)
    of_activity = {
        "namespace": "default",
        "task_queue": task_queue,
        "activity_type": "count_something",
    }
    extra = {"custom_activity_extra_attr": "12.34"}
    expect_line(lines, "custom_activity_counter", of_activity, 12)
    expect_line(lines, "custom_activity_counter", of_activity | extra, 34)
    for described in (
        "# HELP my_runtime_gauge my-runtime-desc",
        "# HELP custom_workflow_histogram custom-workflow-desc",
        "# HELP custom_activity_counter custom-activity-desc",
    ):
        assert described in lines
    expect_line(lines, "foo_workflow_completed", of_workflow, 1)


def updates_of(
    updates: Iterable[BufferedMetricUpdate], name: str, **labels: Any
) -> list[BufferedMetricUpdate]:
    """The updates of one metric that have these attributes."""
    return [
        update
        for update in updates
        if update.metric.name == name and labels.items() <= update.attributes.items()
    ]


async def test_workflow_buffered_metrics(connect: Connect) -> None:
    buffer = MetricBuffer(10000)
    runtime = Runtime(
        telemetry=TelemetryConfig(metrics=buffer, metric_prefix="some_prefix_")
    )
    assert not buffer.retrieve_updates()

    counter = runtime.metric_meter.create_counter("my-counter", "my-desc", "my-unit")
    counter.add(100)
    labelled = counter.with_additional_attributes({"foo": "bar", "baz": 123})
    labelled.add(200)
    first, second = buffer.retrieve_updates()
    metric = first.metric
    assert (metric.name, metric.description, metric.unit, metric.kind) == (
        "my-counter",
        "my-desc",
        "my-unit",
        BUFFERED_METRIC_KIND_COUNTER,
    )
    assert (first.value, second.value) == (100, 200)
    service = {"service_name": "temporal-core-sdk"}
    assert first.attributes == service
    assert second.attributes == service | {"foo": "bar", "baz": 123}
    assert second.metric is metric
    assert not buffer.retrieve_updates()
    labelled.add(300)
    [third] = buffer.retrieve_updates()
    assert third.metric is metric
    assert third.attributes is second.attributes

    task_queue = await measure(await connect(runtime=runtime))
    updates = buffer.retrieve_updates()
    common = {"namespace": "default", "task_queue": task_queue}
    plain, extended = updates_of(
        updates,
        "custom-workflow-histogram",
        workflow_type="MeasuringWorkflow",
        **common,
    )
    assert plain.metric.kind == BUFFERED_METRIC_KIND_HISTOGRAM
    assert (plain.value, extended.value) == (56, 78)
    assert "custom-workflow-extra-attr" not in plain.attributes
    assert extended.attributes["custom-workflow-extra-attr"] == 1234
    plain, extended = updates_of(
        updates, "custom-activity-counter", activity_type="count_something", **common
    )
    assert (plain.value, extended.value) == (12, 34)
    assert extended.attributes["custom-activity-extra-attr"] == 12.34
    [completed] = updates_of(updates, "some_prefix_workflow_completed", **common)
    assert completed.value == 1


@workflow.defn
class OtherTypesWorkflow:
    """Measures with every other kind of metric."""

    @workflow.run
    async def run(self) -> None:
        meter = workflow.metric_meter()
        meter.create_histogram_float("my-histogram-float").record(1.23)
        meter.create_histogram_timedelta("my-histogram-timedelta").record(
            timedelta(seconds=5)
        )
        meter.create_gauge_float("my-gauge-float").set(4.56)


@pytest.mark.parametrize("durations", list(MetricBufferDurationFormat))
async def test_workflow_metrics_other_types(
    connect: Connect, durations: MetricBufferDurationFormat
) -> None:
    buffer = MetricBuffer(10000, duration_format=durations)
    client = await connect(runtime=Runtime(telemetry=TelemetryConfig(metrics=buffer)))
    async with new_worker(client, OtherTypesWorkflow) as worker:
        await client.execute_workflow(
            OtherTypesWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
    updates = buffer.retrieve_updates()
    [histogram] = updates_of(updates, "my-histogram-float")
    assert histogram.value == 1.23
    [gauge] = updates_of(updates, "my-gauge-float")
    assert gauge.metric.kind == BUFFERED_METRIC_KIND_GAUGE
    assert gauge.value == 4.56
    [duration] = updates_of(updates, "my-histogram-timedelta")
    latency, *_ = updates_of(updates, "temporal_workflow_task_execution_latency")
    if durations is MetricBufferDurationFormat.MILLISECONDS:
        assert duration.value == 5000
        assert type(latency.value) is int
        assert latency.metric.unit == "ms"
    else:
        assert duration.value == 5.0
        assert type(latency.value) is float
        assert latency.metric.unit == "s"
        assert latency.value < 3


async def test_can_run_autoscaling_polling_worker(connect: Connect) -> None:
    runtime, scrape = scraping()
    client = await connect(runtime=runtime)
    behavior = PollerBehaviorAutoscaling(initial=2)
    async with new_worker(
        client,
        OtherTypesWorkflow,
        activities=[count_something],
        workflow_task_poller_behavior=behavior,
        activity_task_poller_behavior=behavior,
    ) as worker:

        async def pollers_counted() -> None:
            lines = [
                line
                for line in scrape()
                if line.startswith("temporal_num_pollers{")
                and f'task_queue="{worker.task_queue}"' in line
            ]
            for kind in ("activity", "workflow"):
                assert any(f'poller_type="{kind}_task' in line for line in lines)
            assert all(line.endswith((" 1", " 2")) for line in lines)

        await assert_eventually(pollers_counted)
        await asyncio.gather(
            *(
                client.execute_workflow(
                    OtherTypesWorkflow.run, id=random_id(), task_queue=worker.task_queue
                )
                for _ in range(20)
            )
        )


async def test_different_runtimes(connect: Connect) -> None:
    scrapes = []
    for _ in range(2):
        runtime, scrape = scraping()
        await measure(await connect(runtime=runtime))
        scrapes.append(scrape)
    for scrape in scrapes:
        assert any("long_request" in line for line in scrape())


async def test_prometheus_histogram_bucket_overrides(connect: Connect) -> None:
    built_in, own = "temporal_long_request_latency", "custom_histogram"
    runtime, scrape = scraping(
        prometheus={
            "histogram_bucket_overrides": {
                built_in: [2.0, 7.0],
                own: [3.0, 5.0],
            }
        }
    )
    runtime.metric_meter.create_histogram(own, "desc", "unit").record(600)
    await measure(await connect(runtime=runtime))

    async def overridden() -> None:
        lines = scrape()
        for name, bounds in ((built_in, ("2", "7")), (own, ("3", "5"))):
            found = {
                bound
                for line in lines
                if line.startswith(f"{name}_bucket{{")
                for bound in re.findall(r'le="([^"]*)"', line)
            }
            assert found == {*bounds, "+Inf"}

    await assert_eventually(overridden)
