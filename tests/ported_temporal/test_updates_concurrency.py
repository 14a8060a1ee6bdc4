"""Handlers of updates that came at once share asyncio's locks and semaphores."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dbosify import activity, workflow
from dbosify.client import Client
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    new_worker,
    random_id,
    workflow_update_exists,
)

UPDATES = 5
WAITS_FOR_A_PLACE = timedelta(milliseconds=100)
KEEPS_ITS_PLACE = timedelta(milliseconds=500)


@activity.defn
async def nothing() -> None:
    """Take a moment."""


@dataclass
class Inside:
    """How many handlers were in the place that they share."""

    ever: int = 0
    peak: int = 0


class Place:
    """Counts who is inside."""

    def __init__(self) -> None:
        self.now = 0
        self.seen = Inside()

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Be inside."""
        self.now += 1
        self.seen.ever += 1
        self.seen.peak = max(self.seen.peak, self.now)
        try:
            yield
        finally:
            self.now -= 1


async def do_nothing() -> None:
    """Run an activity."""
    await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(hours=1))


@workflow.defn
class SharedPlaceWorkflow:
    """Lets one, or some, of its handlers in at a time."""

    def __init__(self) -> None:
        self.finished = False
        self.place = Place()
        self.lock: asyncio.Lock | None = None
        self.semaphore: asyncio.Semaphore | None = None

    @workflow.run
    async def run(self) -> Inside:
        await workflow.wait_condition(
            lambda: self.finished and workflow.all_handlers_finished()
        )
        return self.place.seen

    @workflow.signal
    def finish(self) -> None:
        self.finished = True

    @workflow.update
    async def in_turn(self) -> None:
        self.lock = self.lock or asyncio.Lock()
        async with self.lock, self.place.entered():
            await do_nothing()

    @workflow.update
    async def some_at_once(self) -> None:
        self.semaphore = self.semaphore or asyncio.Semaphore(3)
        async with self.semaphore, self.place.entered():
            await do_nothing()

    @workflow.update
    async def in_turn_or_not_at_all(self) -> None:
        self.lock = self.lock or asyncio.Lock()
        await self.impatiently(self.lock)

    @workflow.update
    async def some_or_not_at_all(self) -> None:
        self.semaphore = self.semaphore or asyncio.Semaphore(3)
        await self.impatiently(self.semaphore)

    async def impatiently(self, gate: asyncio.Lock | asyncio.Semaphore) -> None:
        try:
            await asyncio.wait_for(gate.acquire(), WAITS_FOR_A_PLACE.total_seconds())
        except (TimeoutError, asyncio.TimeoutError):
            return
        try:
            async with self.place.entered():
                await asyncio.sleep(KEEPS_ITS_PLACE.total_seconds())
        finally:
            gate.release()


async def inside_of(client: Client, update: Any) -> Inside:
    """Send updates before there is a worker; tell how many got in."""
    queue = random_id("queue")
    handle = await client.start_workflow(
        SharedPlaceWorkflow.run, id=random_id(), task_queue=queue
    )
    ids = [f"update-{number}" for number in range(UPDATES)]
    sent = [
        asyncio.create_task(handle.execute_update(update, id=update_id))
        for update_id in ids
    ]

    async def admitted() -> bool:
        known = [workflow_update_exists(client, handle.id, each) for each in ids]
        return all(await asyncio.gather(*known))

    await assert_eq_eventually(True, admitted)
    async with new_worker(
        client, SharedPlaceWorkflow, activities=[nothing], task_queue=queue
    ):
        await asyncio.gather(*sent)
        await handle.signal(SharedPlaceWorkflow.finish)
        return await handle.result()


async def test_update_handler_can_use_lock_to_serialize_handler_executions(
    client: Client,
) -> None:
    assert await inside_of(client, SharedPlaceWorkflow.in_turn) == Inside(
        ever=UPDATES, peak=1
    )


async def test_update_handler_lock_acquisition_respects_timeout(client: Client) -> None:
    assert await inside_of(client, SharedPlaceWorkflow.in_turn_or_not_at_all) == Inside(
        ever=1, peak=1
    )


async def test_update_handler_can_use_semaphore_to_control_handler_execution_concurrency(  # noqa: E501
    client: Client,
) -> None:
    assert await inside_of(client, SharedPlaceWorkflow.some_at_once) == Inside(
        ever=UPDATES, peak=3
    )


async def test_update_handler_semaphore_acquisition_respects_timeout(
    client: Client,
) -> None:
    assert await inside_of(client, SharedPlaceWorkflow.some_or_not_at_all) == Inside(
        ever=3, peak=3
    )
