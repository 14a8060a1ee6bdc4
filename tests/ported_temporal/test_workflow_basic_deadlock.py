"""A workflow that doesn't give its thread back fails its task, not its worker.

The workflows here run outside of the sandbox: they misbehave on purpose, and the
tests reach them through module variables to let them go again.
"""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from dbosify import workflow
from dbosify.client import Client
from dbosify.worker import UnsandboxedWorkflowRunner, Worker
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    assert_task_fail_eventually,
    deadlock_after,
    new_worker,
    random_id,
)

DEADLOCK = (
    "[TMPRL1101] Potential deadlock detected: workflow didn't yield within 1 second(s)."
)

SHUTDOWN_LIMIT = 20.0
"""Seconds in which a worker must be able to end in spite of a stuck workflow."""


class Grip:
    """What holds the stuck workflows of one test, and counts those that came free."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.ended = 0


grip = Grip()


@pytest.fixture(autouse=True)
def fresh_grip() -> Iterator[None]:
    """Leave no thread behind that belongs to an earlier test."""
    global grip
    grip = Grip()
    yield
    grip.released.set()


def careless_worker(client: Client, stuck_workflow: type) -> Worker:
    """A worker that runs a workflow without a sandbox."""
    return new_worker(
        client,
        stuck_workflow,
        workflow_runner=UnsandboxedWorkflowRunner(),
        disable_safe_workflow_eviction=True,
    )


@workflow.defn
class DeadlockedWorkflow:
    @workflow.run
    async def run(self) -> None:
        grip.released.wait()


async def test_workflow_deadlock(client: Client) -> None:
    async with deadlock_after(careless_worker(client, DeadlockedWorkflow), 1) as worker:
        handle = await client.start_workflow(
            DeadlockedWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        try:
            message = await assert_task_fail_eventually(handle, timeout=5)
            assert message == DEADLOCK
        finally:
            grip.released.set()
        await handle.result()


@workflow.defn
class NeverYieldingWorkflow:
    """Two coroutines of which each wakes the other within the same activation."""

    def __init__(self) -> None:
        self._value = 1

    @workflow.run
    async def run(self) -> None:
        mine = grip
        await asyncio.gather(self._flip(mine, 1), self._flip(mine, -1))

    async def _flip(self, mine: Grip, sign: int) -> None:
        while not mine.released.is_set():
            await workflow.wait_condition(
                lambda: self._value == sign or mine.released.is_set()
            )
            self._value = -sign


async def test_workflow_eviction_deadlock(client: Client) -> None:
    worker = careless_worker(client, NeverYieldingWorkflow)
    async with deadlock_after(worker, 1):
        handle = await client.start_workflow(
            NeverYieldingWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        try:
            message = await assert_task_fail_eventually(handle)
            assert message == DEADLOCK
        finally:
            grip.released.set()
        await handle.result()


@workflow.defn
class InterruptibleDeadlockWorkflow:
    @workflow.run
    async def run(self) -> None:
        mine = grip
        try:
            while True:
                pass
        finally:
            mine.ended += 1


@workflow.defn
class UninterruptibleDeadlockWorkflow:
    @workflow.run
    async def run(self) -> None:
        mine = grip
        try:
            mine.released.wait()
        finally:
            mine.ended += 1


async def ended() -> bool:
    """Whether a stuck workflow has come free."""
    return grip.ended >= 1


async def test_workflow_deadlock_interruptible(client: Client) -> None:
    worker = careless_worker(client, InterruptibleDeadlockWorkflow)
    async with deadlock_after(worker, 1):
        handle = await client.start_workflow(
            InterruptibleDeadlockWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
        )
        await assert_task_fail_eventually(handle, message_contains="deadlock")
        await assert_eq_eventually(True, ended)
        await handle.terminate()
        shutdown_began = time.monotonic()
    assert time.monotonic() - shutdown_began < SHUTDOWN_LIMIT


async def test_workflow_deadlock_uninterruptible(client: Client) -> None:
    worker = careless_worker(client, UninterruptibleDeadlockWorkflow)
    async with deadlock_after(worker, 1):
        handle = await client.start_workflow(
            UninterruptibleDeadlockWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
        )
        await assert_task_fail_eventually(handle, message_contains="deadlock")
        assert grip.ended == 0
        grip.released.set()
        await assert_eq_eventually(True, ended)
        await handle.result()
        shutdown_began = time.monotonic()
    assert time.monotonic() - shutdown_began < SHUTDOWN_LIMIT
