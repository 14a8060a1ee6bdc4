"""A workflow hosts a log of events that others write to and read along."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio.contrib.workflow_streams import (
    WorkflowStream,
    WorkflowStreamClient,
    WorkflowStreamState,
)

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.worker import Worker
from tests.ported_temporal.scaffold import random_id, sandboxed_runner

TIMEOUT = timedelta(seconds=10)
SOON = timedelta(milliseconds=20)


@dataclass
class Progress:
    step: str
    percent: int


@dataclass
class OrderInput:
    number: str
    prior: WorkflowStreamState | None = None


@activity.defn
async def charge(number: str) -> str:
    """Tell how it goes while it goes."""
    async with WorkflowStreamClient.from_within_activity(
        batch_interval=SOON
    ) as publisher:
        progress = publisher.topic("progress", type=Progress)
        progress.publish(Progress("charging", 40))
        progress.publish(Progress("charged", 60), force_flush=True)
    return f"paid {number}"


@workflow.defn
class OrderWorkflow:
    @workflow.init
    def __init__(self, given: OrderInput) -> None:
        self._stream = WorkflowStream(prior_state=given.prior)
        self._done = False

    @workflow.run
    async def run(self, given: OrderInput) -> str:
        progress = self._stream.topic("progress", type=Progress)
        progress.publish(Progress("received", 0))
        paid = await workflow.execute_activity(
            charge, given.number, start_to_close_timeout=TIMEOUT
        )
        progress.publish(Progress("shipped", 100))
        await workflow.wait_condition(lambda: self._done)
        return paid

    @workflow.signal
    def finish(self) -> None:
        self._done = True

    @workflow.signal
    def truncate(self, offset: int) -> None:
        self._stream.truncate(offset)


def order_worker(client: Client, task_queue: str) -> Worker:
    """A worker of orders."""
    return Worker(
        client,
        task_queue=task_queue,
        workflows=[OrderWorkflow],
        activities=[charge],
        workflow_runner=sandboxed_runner(),
    )


async def read(
    client: Client, workflow_id: str, count: int, *, after: int = 0
) -> list[tuple[int, Progress]]:
    """The next events of a stream."""
    stream = WorkflowStreamClient.create(client, workflow_id)
    found = []
    async for item in stream.subscribe(
        ["progress"],
        from_offset=after,
        result_type=Progress,
        poll_cooldown=SOON,
    ):
        found.append((item.offset, item.data))
        if len(found) == count:
            break
    return found


async def test_subscribers_see_every_step_in_order(client: Client) -> None:
    name = random_id("stream")
    async with order_worker(client, name):
        handle = await client.start_workflow(
            OrderWorkflow.run, OrderInput("7"), id=name, task_queue=name
        )
        steps = await asyncio.wait_for(read(client, name, 4), 20)
        assert [step.step for _, step in steps] == [
            "received",
            "charging",
            "charged",
            "shipped",
        ]
        # Whoever lost the connection goes on where it was.
        again = await read(client, name, 2, after=steps[2][0])
        assert again == steps[2:]
        await handle.signal(OrderWorkflow.finish)
        assert await handle.result() == "paid 7"


async def test_outsiders_publish_and_what_is_cut_off_is_gone(client: Client) -> None:
    name = random_id("stream")
    async with order_worker(client, name):
        handle = await client.start_workflow(
            OrderWorkflow.run, OrderInput("8"), id=name, task_queue=name
        )
        await asyncio.wait_for(read(client, name, 4), 20)
        async with WorkflowStreamClient.create(
            client, name, batch_interval=SOON
        ) as publisher:
            topic = publisher.topic("progress", type=Progress)
            topic.publish(Progress("signed for", 101))
        assert await publisher.get_offset() == 5
        await handle.signal(OrderWorkflow.truncate, 4)
        ((offset, last),) = await read(client, name, 1, after=4)
        assert (offset, last.step) == (4, "signed for")
        await handle.signal(OrderWorkflow.finish)
        await handle.result()
