"""Protobuf values in few words: payloads, times, failures, the start of a run."""

from __future__ import annotations

import json
from typing import Any

from dbosify._core.driver import RunDriver
from dbosify._core.tail import Worker
from dbosify._model import clock, failures
from dbosify._model.protos import (
    Duration,
    Failure,
    HistoryEvent,
    Payload,
    Payloads,
    RetryPolicy,
    Timestamp,
    WorkflowExecutionStartedEventAttributes,
)
from dbosify._model.start import first_events

BEGAN = 1_700_000_000
"""When all runs begin, in seconds since 1970."""

RUN_ID = "11111111-1111-1111-1111-111111111111"
NEXT_RUN_ID = "22222222-2222-2222-2222-222222222222"
WORKFLOW_ID = "orders/1"
WORKER = Worker("worker@here", build_id="build-1", sdk_version="1.35.0")


def at(seconds: float) -> Timestamp:
    """The moment `seconds` after the run began."""
    return clock.timestamp(BEGAN * 10**9 + round(seconds * 10**9))


def span(seconds: float) -> Duration:
    """A duration."""
    return clock.duration(seconds)


def payload(value: object) -> Payload:
    """A value as the default converter writes it."""
    return Payload(
        metadata={"encoding": b"json/plain"},
        data=json.dumps(value, separators=(",", ":")).encode(),
    )


def payloads(*values: object) -> Payloads:
    """Several of them."""
    return Payloads(payloads=[payload(value) for value in values])


def boom(message: str = "boom", *, kind: str = "", final: bool = False) -> Failure:
    """What a worker reports of an exception."""
    return failures.application(message, kind=kind, non_retryable=final)


def retry_policy(
    *,
    initial: float = 1.0,
    coefficient: float = 2.0,
    maximum: float = 100.0,
    attempts: int = 0,
    final: tuple[str, ...] = (),
) -> RetryPolicy:
    """A retry policy as the server stores it: with nothing left out."""
    return RetryPolicy(
        initial_interval=span(initial),
        backoff_coefficient=coefficient,
        maximum_interval=span(maximum),
        maximum_attempts=attempts,
        non_retryable_error_types=final,
    )


def start(**changes: Any) -> WorkflowExecutionStartedEventAttributes:
    """A run's start, with `changes` to what every run has."""
    usual: dict[str, Any] = {
        "workflow_id": WORKFLOW_ID,
        "original_execution_run_id": RUN_ID,
        "first_execution_run_id": RUN_ID,
        "attempt": 1,
        "identity": "client@there",
        "workflow_task_timeout": span(10),
    }
    started = WorkflowExecutionStartedEventAttributes(**{**usual, **changes})
    if not started.workflow_type.name:
        started.workflow_type.name = "Order"
    if not started.task_queue.name:
        started.task_queue.name = "queue"
    return started


def beginning(
    started: WorkflowExecutionStartedEventAttributes | None = None,
) -> list[HistoryEvent]:
    """The journal of a run that no worker has seen."""
    return first_events(started or start(), at(0), delayed=False)


def copies(events: list[HistoryEvent]) -> list[HistoryEvent]:
    """The same events, but not the same objects: drivers number what they are given."""
    result = []
    for event in events:
        result.append(HistoryEvent())
        result[-1].CopyFrom(event)
    return result


def driver_of(journal: list[HistoryEvent], worker: Worker = WORKER) -> RunDriver:
    """A driver that has loaded a journal, and nothing more."""
    driver = RunDriver(
        WORKFLOW_ID, RUN_ID, namespace="default", task_queue="queue", worker=worker
    )
    driver.load(copies(journal))
    return driver
