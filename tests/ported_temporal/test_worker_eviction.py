"""What workflow code sees, and what it may do, when its run leaves the cache."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.worker import UnsandboxedWorkflowRunner
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    assert_eventually,
    assert_task_fail_eventually,
    captured_logs,
    new_worker,
    random_id,
)

MINUTE = timedelta(minutes=1)


@activity.defn
async def wait_until_cancelled() -> None:
    """Never come back by itself."""
    try:
        while True:
            await asyncio.sleep(0.1)
            activity.heartbeat()
    except asyncio.CancelledError:
        return


@workflow.defn
class WaitForEver:
    """A child that ends only with its parent."""

    @workflow.run
    async def run(self) -> None:
        """Wait."""
        await workflow.wait_condition(lambda: False)


@workflow.defn
class TornDown:
    """Has everything under way that an eviction has to tear down."""

    def __init__(self) -> None:
        self._count = 0

    @workflow.run
    async def run(self, with_child: bool) -> None:
        """End when the count is three."""
        tasks = [
            asyncio.create_task(self._activity()),
            asyncio.create_task(asyncio.sleep(1000)),
            asyncio.create_task(self._shielded()),
            asyncio.create_task(workflow.wait_condition(lambda: False)),
        ]
        if with_child:
            await workflow.start_child_workflow(
                WaitForEver.run, id=f"{workflow.info().workflow_id}-child"
            )
        try:
            await workflow.wait_condition(lambda: self._count == 3)
        finally:
            # Evictions get here too, where none of this may have an effect.
            await asyncio.sleep(0.01)
            await workflow.wait_condition(lambda: self._count > 2)
            for task in tasks:
                task.cancel()

    async def _shielded(self) -> None:
        await asyncio.shield(self._activity())

    async def _activity(self) -> None:
        await workflow.execute_activity(
            wait_until_cancelled,
            start_to_close_timeout=MINUTE,
            heartbeat_timeout=MINUTE,
        )

    @workflow.signal
    def count(self) -> None:
        """One more."""
        self._count += 1

    @workflow.query
    def counted(self) -> int:
        """How many there were."""
        return self._count


@contextmanager
def unraisable() -> Iterator[list[Any]]:
    """What Python could only print while the block ran."""
    found: list[Any] = []
    before, sys.unraisablehook = sys.unraisablehook, found.append
    try:
        yield found
    finally:
        sys.unraisablehook = before


@pytest.mark.parametrize(
    "with_child",
    [False, pytest.param(True, marks=pytest.mark.needs("child workflows"))],
)
async def test_cache_eviction_tear_down(client: Client, with_child: bool) -> None:
    with unraisable() as found:
        async with new_worker(
            client,
            TornDown,
            WaitForEver,
            activities=[wait_until_cancelled],
            max_cached_workflows=0,
        ) as worker:
            handle = await client.start_workflow(
                TornDown.run,
                with_child,
                id=random_id(),
                task_queue=worker.task_queue,
            )
            for count in range(3):

                async def counted() -> int:
                    return await handle.query(TornDown.counted)

                await assert_eq_eventually(count, counted)
                await handle.signal(TornDown.count)
            await handle.result()
    assert not found


class Caught:
    """What a workflow that is not sandboxed caught, outside of its run."""

    errors: list[tuple[str, bool]]


@workflow.defn(sandboxed=False)
class CatchEverything:
    """Catches what ends its wait."""

    @workflow.run
    async def run(self) -> None:
        """Wait for a moment."""
        try:
            await asyncio.sleep(0.01)
        except BaseException as error:
            Caught.errors.append((type(error).__name__, workflow.unsafe.is_replaying()))
            raise


async def test_workflow_eviction_exception(client: Client) -> None:
    Caught.errors = []
    async with new_worker(
        client,
        CatchEverything,
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=0,
    ) as worker:
        await client.execute_workflow(
            CatchEverything.run, id=random_id(), task_queue=worker.task_queue
        )
    assert Caught.errors == [("_WorkflowBeingEvictedError", True)]


class Swallowing:
    """Whether an evicted workflow still refuses to end."""

    refuses = True


@workflow.defn(sandboxed=False)
class SwallowEviction:
    """Leaves a task behind that nothing ends."""

    @workflow.run
    async def run(self) -> str:
        """End, but for one task."""
        task = asyncio.create_task(self._refuse())
        await asyncio.sleep(0.01)
        del task
        return "done"

    async def _refuse(self) -> None:
        while Swallowing.refuses:
            with suppress(BaseException):
                await workflow.wait_condition(lambda: False)


async def test_workflow_eviction_swallow(client: Client) -> None:
    Swallowing.refuses = True
    with captured_logs(logging.getLogger("temporalio.worker._workflow")) as logs:
        async with new_worker(
            client, SwallowEviction, workflow_runner=UnsandboxedWorkflowRunner()
        ) as worker:
            handle = await client.start_workflow(
                SwallowEviction.run, id=random_id(), task_queue=worker.task_queue
            )
            assert await handle.result() == "done"
            text = f"Timed out running eviction job for run ID {handle.result_run_id}"

            async def logged() -> None:
                assert logs.find_log(text) is not None

            await assert_eventually(logged)
            Swallowing.refuses = False


class Gate:
    """Lets blocked workflow threads go on."""

    opened = threading.Event()


@workflow.defn(sandboxed=False)
class Blocked:
    """Blocks its thread until the gate is open."""

    @workflow.run
    async def run(self) -> str:
        """Block."""
        Gate.opened.wait(20)
        return "done"


@workflow.defn(sandboxed=False)
class Unblocked:
    """Ends at once."""

    @workflow.run
    async def run(self) -> str:
        """End."""
        return "done"


async def test_workflow_deadlock_fill_up_slots(client: Client) -> None:
    cpus = os.cpu_count() or 1
    Gate.opened.clear()
    async with new_worker(
        client,
        Blocked,
        Unblocked,
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_tasks=cpus + 11,
    ) as worker:
        blocked = [
            await client.start_workflow(
                Blocked.run, id=random_id(), task_queue=worker.task_queue
            )
            for _ in range(cpus + 5)
        ]
        try:
            for handle in blocked:
                await assert_task_fail_eventually(
                    handle, message_contains="deadlock", timeout=20
                )
            result = await asyncio.wait_for(
                client.execute_workflow(
                    Unblocked.run, id=random_id(), task_queue=worker.task_queue
                ),
                10,
            )
        finally:
            Gate.opened.set()
        assert result == "done"
        results = await asyncio.gather(*(handle.result() for handle in blocked))
    assert results == ["done"] * len(blocked)
