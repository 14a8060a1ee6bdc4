"""What the programs of this package have in common."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from dbosify.client import Client, Plugin, WorkflowHandle
from dbosify.worker import Worker
from tests.ported_temporal.scaffold import events_of, random_id, sandboxed_runner


@asynccontextmanager
async def serving(
    client: Client,
    plugin: Any,
    *workflows: type,
    activities: Sequence[Callable[..., Any]] = (),
) -> AsyncIterator[tuple[Client, str]]:
    """A client with the plugin, and the queue of a worker that it has passed it on to.

    The worker keeps nothing: each task replays its run from the start.
    """
    config: Any = client.config()
    plugins: list[Plugin] = [plugin]
    asking = Client(**{**config, "plugins": plugins})
    queue = random_id("queue")
    async with Worker(
        asking,
        task_queue=queue,
        workflows=workflows,
        activities=activities,
        workflow_runner=sandboxed_runner(),
        max_cached_workflows=0,
    ):
        yield asking, queue


async def activities_of(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The types of the activities that a run has scheduled, in order."""
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in await events_of(handle)
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
