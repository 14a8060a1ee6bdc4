"""A workflow that runs one local activity exactly as its argument says."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dbosify import workflow
from dbosify.api.enums.v1 import EventType
from dbosify.api.history.v1 import MarkerRecordedEventAttributes
from dbosify.client import WorkflowHandle
from dbosify.common import RetryPolicy
from dbosify.exceptions import ActivityError, FailureError
from tests.ported_temporal.scaffold import events_of

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class LocalOrder:
    """Which activity, and its options; times are in seconds."""

    name: str
    args: Sequence[Any] = ()
    schedule_to_close: float | None = None
    schedule_to_start: float | None = None
    start_to_close: float | None = 10
    threshold: float | None = None
    initial: float = 0.01
    attempts: int = 0
    cancellation: int = 0
    summary: str | None = None


def start(order: LocalOrder) -> workflow.ActivityHandle[Any]:
    """Start what was ordered, in a workflow."""
    return workflow.start_local_activity(
        order.name,
        args=order.args,
        schedule_to_close_timeout=_duration(order.schedule_to_close),
        schedule_to_start_timeout=_duration(order.schedule_to_start),
        start_to_close_timeout=_duration(order.start_to_close),
        local_retry_threshold=_duration(order.threshold),
        retry_policy=RetryPolicy(
            initial_interval=order.initial * SECOND, maximum_attempts=order.attempts
        ),
        cancellation_type=workflow.ActivityCancellationType(order.cancellation),
        summary=order.summary,
    )


def described(error: FailureError) -> str:
    """An error without what core leaves out of it on replay.

    That a local activity timed out is an ``ActivityError`` with a cause only as long as
    nobody replays it, so a deterministic workflow looks at the innermost error.
    """
    if isinstance(error, ActivityError) and isinstance(error.cause, FailureError):
        return described(error.cause)
    return f"{type(error).__name__}: {error.message}"


@workflow.defn
class OneLocalActivityWorkflow:
    """Tells how its activity ended."""

    @workflow.run
    async def run(self, order: LocalOrder) -> Any:
        """Run what was ordered."""
        try:
            return await start(order)
        except FailureError as error:
            return described(error)


def _duration(value: float | None) -> timedelta | None:
    return None if value is None else value * SECOND


async def markers_of(
    handle: WorkflowHandle[Any, Any],
) -> list[MarkerRecordedEventAttributes]:
    """The markers of a run's local activities."""
    return [
        event.marker_recorded_event_attributes
        for event in await events_of(handle)
        if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED
    ]


def data_of(marker: MarkerRecordedEventAttributes) -> dict[str, Any]:
    """What a marker says of its activity."""
    return dict(json.loads(marker.details["data"].payloads[0].data))
