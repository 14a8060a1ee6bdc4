"""What is measured of activity attempts."""

from __future__ import annotations

from dbosify._model import clock
from dbosify._model.activity import ActivityRow
from dbosify._model.protos import ActivityExecutionResult, ApplicationErrorCategory

from .metrics import Metrics

_BENIGN = ApplicationErrorCategory.APPLICATION_ERROR_CATEGORY_BENIGN


def kind_of(row: ActivityRow) -> str:
    """The type of an activity."""
    options = row.scheduled.activity_task_scheduled_event_attributes
    return options.activity_type.name


def started(metrics: Metrics, row: ActivityRow) -> None:
    """An attempt is handed to the SDK."""
    if not metrics.is_on:
        return
    labels = _labels(row)
    # The core's label, and its spelling: whether it came without a queue.
    metrics.count("activity_task_received", eager=str(row.eager).lower(), **labels)
    waited = (row.progress.started_at or 0.0) - row.progress.attempt_scheduled_at
    metrics.observe("activity_schedule_to_start_latency", waited, **labels)


def ended(
    metrics: Metrics, row: ActivityRow, result: ActivityExecutionResult, now: float
) -> None:
    """The SDK has answered for an attempt."""
    if not metrics.is_on:
        return
    labels = _labels(row)
    started_at = row.progress.started_at or now
    metrics.observe("activity_execution_latency", now - started_at, **labels)
    status = result.WhichOneof("status")
    if status == "completed":
        scheduled_at = clock.seconds(row.scheduled.event_time)
        metrics.observe(
            "activity_succeed_endtoend_latency", now - scheduled_at, **labels
        )
    elif status == "failed" and not _is_benign(result):
        metrics.count(
            "activity_execution_failed", failure_reason="ActivityError", **labels
        )


def _is_benign(result: ActivityExecutionResult) -> bool:
    info = result.failed.failure.application_failure_info
    return bool(info.category == _BENIGN)


def _labels(row: ActivityRow) -> dict[str, str]:
    return {"activity_type": kind_of(row), "workflow_type": row.workflow_type}
