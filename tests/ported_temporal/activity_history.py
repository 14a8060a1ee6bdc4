"""What history and describe tell of the one activity of a run.

The modules ``test_contract_activities*`` order an activity from
:mod:`tests.ported_temporal.one_activity` and read here what has become of it.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from dbosify.api.history.v1 import HistoryEvent
from dbosify.api.workflow.v1 import PendingActivityInfo
from dbosify.client import Client, WorkflowFailureError, WorkflowHandle
from dbosify.worker import Worker
from tests.ported_temporal.one_activity import OneActivityWorkflow, Order
from tests.ported_temporal.scaffold import (
    assert_eventually,
    events_of,
    random_id,
)

ACTIVITY_EVENTS = (
    "activity_task_scheduled",
    "activity_task_started",
    "activity_task_cancel_requested",
    "activity_task_completed",
    "activity_task_failed",
    "activity_task_timed_out",
    "activity_task_canceled",
)


async def start_order(
    client: Client, worker: Worker, order: Order, **options: Any
) -> WorkflowHandle[Any, Any]:
    """Start a run that schedules this one activity."""
    return await client.start_workflow(
        OneActivityWorkflow.run,
        order,
        id=random_id(),
        task_queue=worker.task_queue,
        **options,
    )


class Story:
    """The events of an activity, each by the name of its type."""

    def __init__(self, events: Sequence[HistoryEvent]) -> None:
        """Take what is about the activity out of a run's events."""
        told = [
            (name, event)
            for event in events
            for name in ACTIVITY_EVENTS
            if event.HasField(f"{name}_event_attributes")  # type: ignore[arg-type]
        ]
        self.names = [name.removeprefix("activity_task_") for name, _ in told]
        self.ids = dict(
            zip(self.names, [event.event_id for _, event in told], strict=True)
        )
        self._attributes = [
            getattr(event, f"{name}_event_attributes") for name, event in told
        ]

    def __getitem__(self, name: str) -> Any:
        """The attributes of the only event of this type."""
        assert self.names.count(name) == 1, f"{name} isn't once in {self.names}"
        return self._attributes[self.names.index(name)]


async def story_of(handle: WorkflowHandle[Any, Any]) -> Story:
    """The activity's story so far."""
    return Story(await events_of(handle))


async def story_after_end(handle: WorkflowHandle[Any, Any]) -> Story:
    """The activity's story once the run has ended, whichever way."""
    with suppress(WorkflowFailureError):
        await handle.result()
    return await story_of(handle)


async def scheduled(handle: WorkflowHandle[Any, Any]) -> Story:
    """The activity's story once it was scheduled."""

    async def told() -> Story:
        story = await story_of(handle)
        assert "scheduled" in story.names
        return story

    return await assert_eventually(told)


async def pending(
    handle: WorkflowHandle[Any, Any], **expected: Any
) -> PendingActivityInfo:
    """What describe tells of the activity, once these fields are as expected."""

    async def as_expected() -> PendingActivityInfo:
        description = await handle.describe()
        infos = description.raw_description.pending_activities
        assert len(infos) == 1
        for name, value in expected.items():
            assert getattr(infos[0], name) == value
        return infos[0]

    return await assert_eventually(as_expected)


def moment(timestamp: Timestamp) -> datetime:
    """The moment that a protobuf timestamp means."""
    return timestamp.ToDatetime(tzinfo=timezone.utc)


def close_to(actual: timedelta, expected: float) -> bool:
    """Whether a span is so many seconds, but for what the server's sums lose."""
    return abs(actual.total_seconds() - expected) < 0.01
