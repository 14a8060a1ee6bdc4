"""Activities that are handed over to the test, which speaks for them from then on.

An activity may leave its completion to somebody else. Here that is the test: it takes
what it needs to know of the attempt from the desk where the activity left it.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from dbosify import activity
from dbosify.client import Client, WorkflowHandle
from dbosify.worker import Worker
from tests.ported_temporal.activity_history import start_order
from tests.ported_temporal.one_activity import OneActivityWorkflow, Order
from tests.ported_temporal.scaffold import new_worker


@dataclass
class Desk:
    """Where an activity leaves its info before it hands itself over."""

    left: asyncio.Queue[activity.Info] = field(default_factory=asyncio.Queue)

    @activity.defn
    async def hand_over(self) -> str:
        """Leave the rest to whoever finds the info on the desk."""
        self.left.put_nowait(activity.info())
        activity.raise_complete_async()

    async def next_info(self) -> activity.Info:
        """Wait until the next attempt is handed over; give its info."""
        return await asyncio.wait_for(self.left.get(), 10)


def worker_with(client: Client, desk: Desk) -> Worker:
    """A worker whose activities are handed over at this desk."""
    return new_worker(client, OneActivityWorkflow, activities=[desk.hand_over])


async def handed_over(
    client: Client, worker: Worker, desk: Desk, **options: Any
) -> tuple[WorkflowHandle[Any, Any], activity.Info]:
    """Start an activity that hands itself over; wait until it has."""
    order = Order("hand_over", **{"start_to_close": 30, **options})
    handle = await start_order(client, worker, order)
    info = await desk.next_info()
    return handle, info
