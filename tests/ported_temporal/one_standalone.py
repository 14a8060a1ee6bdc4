"""Activities started by clients, without any workflow, as tests want them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dbosify import activity
from dbosify.client import ActivityHandle, Client
from tests.ported_temporal.scaffold import random_id


@activity.defn
async def increment(number: int) -> int:
    """One more."""
    return number + 1


@dataclass
class Ids:
    """The id and the queue of an activity that nothing else uses."""

    activity_id: str = field(default_factory=lambda: random_id("activity"))
    task_queue: str = field(default_factory=lambda: random_id("queue"))


async def start(
    client: Client,
    ids: Ids,
    called: Any = increment,
    args: Sequence[Any] = (1,),
    **options: Any,
) -> ActivityHandle[Any]:
    """Start an activity; an attempt may last 5 seconds unless told otherwise."""
    if "schedule_to_close_timeout" not in options:
        options.setdefault("start_to_close_timeout", timedelta(seconds=5))
    handle: ActivityHandle[Any] = await client.start_activity(
        called, args=args, id=ids.activity_id, task_queue=ids.task_queue, **options
    )
    return handle
