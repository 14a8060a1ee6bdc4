"""The metrics of Temporal's core, emitted where they mean something here.

They go through the meter of the user's `temporalio.runtime.Runtime`, so its exporters
and buffers show them under the names, labels and descriptions that dashboards know.
Without a runtime that collects metrics nothing is counted and nothing is spent.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import temporalio.bridge.runtime
import temporalio.runtime
from temporalio.common import MetricMeter

_DEFAULT_PREFIX = "temporal_"

COUNTERS = {
    "activity_execution_failed": "Activity attempts that failed",
    "activity_poll_no_task": "Looks for activities that found none",
    "activity_task_received": "Activity attempts taken on",
    "local_activity_execution_cancelled": "Local activities that were cancelled",
    "local_activity_execution_failed": "Local activity attempts that failed",
    "local_activity_total": "Local activities executed",
    "long_request": "Calls that wait for something, by name",
    "long_request_failure": "Calls that wait for something and failed, by name",
    "request": "Calls, by name",
    "request_failure": "Calls that failed, by name",
    "sticky_cache_hit": "Workflow tasks that found their run in memory",
    "sticky_cache_miss": "Workflow tasks whose run had to be rebuilt",
    "sticky_cache_total_forced_eviction": "Runs put out of memory for others",
    "worker_start": "Workers started",
    "workflow_canceled": "Workflows that ended cancelled",
    "workflow_completed": "Workflows that completed",
    "workflow_continue_as_new": "Workflows that continued as new",
    "workflow_failed": "Workflows that failed",
    "workflow_task_execution_failed": "Workflow tasks that failed",
    "workflow_task_queue_poll_empty": "Looks for runs that found none",
    "workflow_task_queue_poll_succeed": "Workflow tasks taken on",
}
GAUGES = {
    "num_pollers": "Loops that look for tasks, by kind",
    "sticky_cache_size": "Runs in memory",
    "worker_task_slots_available": "Free slots, by kind of task",
    "worker_task_slots_used": "Slots in use, by kind of task",
}
LATENCIES = {
    "activity_execution_latency": "From the start of an attempt to its end",
    "activity_schedule_to_start_latency": "From scheduling an attempt to its start",
    "activity_succeed_endtoend_latency": "From scheduling an activity to its success",
    "local_activity_execution_latency": "From the start of an attempt to its end",
    "local_activity_succeed_endtoend_latency": "From the first attempt to success",
    "long_request_latency": "Duration of calls that wait for something",
    "request_latency": "Duration of calls",
    "workflow_endtoend_latency": "From the start of a workflow to its close",
    "workflow_task_execution_latency": "Duration of workflow tasks, not of replays",
    "workflow_task_replay_latency": "Duration of replays",
    "workflow_task_schedule_to_start_latency": "Wait of a workflow task for a slot",
}


class Metrics:
    """Instruments with some labels; made by `metrics_of`.

    Args:
        meter: of the user's runtime.
        prefix: of the core's own metrics in that runtime.
        labels: of everything that is emitted.
    """

    is_on = True

    def __init__(self, meter: MetricMeter, prefix: str, **labels: str) -> None:
        self._meter = meter.with_additional_attributes(labels) if labels else meter
        self._prefix = prefix
        self._made: dict[tuple[str, ...], Any] = {}

    def labelled(self, **labels: str) -> Metrics:
        """The same with more labels."""
        return Metrics(self._meter, self._prefix, **labels)

    def count(self, name: str, **labels: str) -> None:
        """One more."""
        self._instrument(name, labels).add(1)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """A duration."""
        duration = timedelta(seconds=max(seconds, 0.0))
        self._instrument(name, labels).record(duration)

    def level(self, name: str, value: int, **labels: str) -> None:
        """What it is at the moment."""
        self._instrument(name, labels).set(value)

    def _instrument(self, name: str, labels: dict[str, str]) -> Any:
        key = (name, *(part for pair in labels.items() for part in pair))
        made = self._made.get(key)
        if made is None:
            made = self._new(name)
            if labels:
                made = made.with_additional_attributes(labels)
            self._made[key] = made
        return made

    def _new(self, name: str) -> Any:
        full = self._prefix + name
        if name in COUNTERS:
            return self._meter.create_counter(full, COUNTERS[name])
        if name in GAUGES:
            return self._meter.create_gauge(full, GAUGES[name])
        # The core's word for it; exporters put their own unit in its place.
        return self._meter.create_histogram_timedelta(
            full, LATENCIES[name], unit="duration"
        )


class NoMetrics(Metrics):
    """Where nobody collects."""

    is_on = False

    def __init__(self) -> None:
        super().__init__(MetricMeter.noop, "")

    def labelled(self, **labels: str) -> Metrics:
        """See `Metrics`."""
        del labels
        return self

    def count(self, name: str, **labels: str) -> None:
        """See `Metrics`."""

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """See `Metrics`."""

    def level(self, name: str, value: int, **labels: str) -> None:
        """See `Metrics`."""


OFF = NoMetrics()


def metrics_of(runtime: temporalio.runtime.Runtime | None) -> Metrics:
    """What a client's runtime collects.

    Args:
        runtime: given to the client; None for the default one, if that was set.
    """
    if runtime is None:
        # Not `Runtime.default()`: that would start the Rust core for nothing.
        runtime = temporalio.runtime._runtime_ref._default_runtime
    if runtime is None or runtime.metric_meter is MetricMeter.noop:
        return OFF
    prefix = getattr(runtime._core_runtime, "_dbosify_prefix", _DEFAULT_PREFIX)
    return Metrics(runtime.metric_meter, prefix)


_core_init = temporalio.bridge.runtime.Runtime.__init__


def install(core: type = temporalio.bridge.runtime.Runtime) -> None:
    """Learn of the prefix that a runtime is given, which it does not show itself.

    A runtime made before this is taken to have the usual prefix.
    """
    core.__init__ = _init  # type: ignore[misc]


def _init(self: Any, *, options: temporalio.bridge.runtime.RuntimeOptions) -> None:
    _core_init(self, options=options)
    metrics = options.telemetry.metrics
    if metrics is not None and metrics.metric_prefix is not None:
        self._dbosify_prefix = metrics.metric_prefix
