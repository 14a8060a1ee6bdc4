"""Cancelling activities: in the loop, in threads, in processes, and elsewhere."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.api.enums.v1 import PendingActivityState
from dbosify.client import Client, WorkflowFailureError
from dbosify.common import RetryPolicy
from dbosify.exceptions import ActivityError, CancelledError
from dbosify.worker import Worker
from dbosify.workflow import ActivityCancellationType
from tests.ported_temporal.activity_calls import (
    call,
    failed_call,
    process_pool,
    start_call,
)
from tests.ported_temporal.desk import Desk
from tests.ported_temporal.scaffold import assert_eventually, new_worker, random_id

OFTEN: dict[str, Any] = {"max_heartbeat_throttle_interval": timedelta(milliseconds=200)}
"""So that a worker hears of a cancellation soon."""

AFTER_100_MS: dict[str, Any] = {
    "cancel_after_millis": 100,
    "wait_for_cancellation": True,
    "heartbeat_millis": 5000,
}


@activity.defn
async def catch_cancel() -> str:
    """Heartbeat until cancelled; say what is known of that."""
    try:
        while True:
            await asyncio.sleep(0.1)
            activity.heartbeat()
    except asyncio.CancelledError as error:
        return f"Got cancelled error, cancelled? {activity.is_cancelled()}, {error}"


async def test_activity_cancel_catch(client: Client, worker: Worker) -> None:
    async with new_worker(client, activities=[catch_cancel], **OFTEN) as called:
        result = await call(worker, called, "catch_cancel", **AFTER_100_MS)
    assert result.startswith("Got cancelled error, cancelled? True")


@activity.defn
async def do_not_catch() -> None:
    """Heartbeat for ever."""
    while True:
        await asyncio.sleep(0.1)
        activity.heartbeat()


async def test_activity_cancel_throw(client: Client, worker: Worker) -> None:
    async with new_worker(client, activities=[do_not_catch], **OFTEN) as called:
        handle = await start_call(worker, called, "do_not_catch", **AFTER_100_MS)
        assert isinstance(await failed_call(handle), CancelledError)


@activity.defn
def catch_in_thread() -> str:
    """Be interrupted by the exception that a cancellation throws into the thread."""
    try:
        while True:
            time.sleep(0.05)
            activity.heartbeat()
    except CancelledError:
        assert activity.is_cancelled()
        return "Cancelled"


@activity.defn
def do_not_catch_in_thread() -> None:
    """Be interrupted, and let it pass."""
    while True:
        time.sleep(0.05)
        activity.heartbeat()


@activity.defn(no_thread_cancel_exception=True)
def look_in_thread() -> str:
    """Look whether it is cancelled; nothing is thrown into the thread."""
    while not activity.is_cancelled():
        time.sleep(0.05)
        activity.heartbeat()
    time.sleep(0.05)
    activity.heartbeat()
    return "Cancelled"


def in_threads(client: Client, called: Callable[..., Any], pool: Any) -> Worker:
    """A worker of one activity that runs in threads."""
    return new_worker(
        client,
        activities=[called],
        activity_executor=pool,
        max_concurrent_activities=1,
        **OFTEN,
    )


async def test_sync_activity_thread_cancel_caught(
    client: Client, worker: Worker
) -> None:
    with ThreadPoolExecutor(1) as pool:
        async with in_threads(client, catch_in_thread, pool) as called:
            result = await call(worker, called, "catch_in_thread", **AFTER_100_MS)
    assert result == "Cancelled"


async def test_sync_activity_thread_cancel_uncaught(
    client: Client, worker: Worker
) -> None:
    with ThreadPoolExecutor(1) as pool:
        async with in_threads(client, do_not_catch_in_thread, pool) as called:
            handle = await start_call(
                worker, called, "do_not_catch_in_thread", **AFTER_100_MS
            )
            assert isinstance(await failed_call(handle), CancelledError)


async def test_sync_activity_thread_cancel_exception_disabled(
    client: Client, worker: Worker
) -> None:
    with ThreadPoolExecutor(1) as pool:
        async with in_threads(client, look_in_thread, pool) as called:
            result = await call(worker, called, "look_in_thread", **AFTER_100_MS)
    assert result == "Cancelled"


async def test_sync_activity_thread_cancel_exception_shielded(
    client: Client, worker: Worker
) -> None:
    reached: list[str] = []
    lock = threading.Lock()

    def note(where: str) -> None:
        with lock:
            reached.append(where)

    @activity.defn
    def shield_twice() -> None:
        note("pre1")
        with activity.shield_thread_cancel_exception():
            note("pre2")
            with activity.shield_thread_cancel_exception():
                note("pre3")
                while not activity.is_cancelled():
                    time.sleep(0.05)
                    activity.heartbeat()
                note("post3")
            note("post2")
        note("post1")

    with ThreadPoolExecutor(1) as pool:
        async with in_threads(client, shield_twice, pool) as called:
            handle = await start_call(worker, called, "shield_twice", **AFTER_100_MS)
            assert isinstance(await failed_call(handle), CancelledError)
    assert reached == ["pre1", "pre2", "pre3", "post3", "post2"]


@activity.defn
def look_in_process() -> str:
    """Look whether it is cancelled, from another process."""
    while not activity.is_cancelled():
        time.sleep(0.05)
        activity.heartbeat()
    return "Cancelled"


@activity.defn
def raise_in_process() -> str:
    """Look whether it is cancelled, and end as if interrupted."""
    while not activity.is_cancelled():
        time.sleep(0.05)
        activity.heartbeat()
    raise CancelledError("Cancelled")


async def test_sync_activity_process_cancel(client: Client, worker: Worker) -> None:
    with process_pool() as options:
        async with new_worker(
            client, activities=[look_in_process], **options, **OFTEN
        ) as called:
            result = await call(worker, called, "look_in_process", **AFTER_100_MS)
    assert result == "Cancelled"


async def test_sync_activity_process_cancel_uncaught(
    client: Client, worker: Worker
) -> None:
    with process_pool() as options:
        async with new_worker(
            client, activities=[raise_in_process], **options, **OFTEN
        ) as called:
            handle = await start_call(
                worker, called, "raise_in_process", **AFTER_100_MS
            )
            assert isinstance(await failed_call(handle), CancelledError)


@pytest.mark.parametrize("by_token", [True, False], ids=["by token", "by id"])
async def test_activity_async_cancel(
    client: Client, worker: Worker, by_token: bool
) -> None:
    desk = Desk()
    async with new_worker(client, activities=[desk.hand_over]) as called:
        handle = await start_call(
            worker,
            called,
            "hand_over",
            cancel_after_millis=50,
            wait_for_cancellation=True,
        )
        info = await desk.next_info()
        if by_token:
            elsewhere = client.get_async_activity_handle(task_token=info.task_token)
        else:
            elsewhere = client.get_async_activity_handle(
                workflow_id=info.workflow_id or "",
                run_id=info.workflow_run_id,
                activity_id=info.activity_id,
            )

        async def asked_to_end() -> None:
            pending = (await handle.describe()).raw_description.pending_activities
            state = PendingActivityState.Name(pending[0].state)
            assert state == "PENDING_ACTIVITY_STATE_CANCEL_REQUESTED"

        await assert_eventually(asked_to_end)
        await elsewhere.report_cancellation("cancel details")
        cause = await failed_call(handle)
    assert isinstance(cause, CancelledError)
    assert list(cause.details) == ["cancel details"]


class Watched:
    """An activity that tells the test when it began and how it ended."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.ended = asyncio.Event()

    @activity.defn
    async def heartbeats(self) -> str:
        return await self._until_cancelled(activity.heartbeat)

    @activity.defn
    async def waits(self) -> str:
        return await self._until_cancelled(lambda: None)

    async def _until_cancelled(self, between: Callable[[], None]) -> str:
        self.began.set()
        try:
            while True:
                await asyncio.sleep(0.1)
                between()
        except asyncio.CancelledError:
            return f"Got cancelled error, cancelled? {activity.is_cancelled()}"
        finally:
            self.ended.set()


@workflow.defn
class CancelsActivityWorkflow:
    """Cancels its activity, tells what came of it, and stays."""

    def __init__(self) -> None:
        self._came_of_it = ""

    @workflow.run
    async def run(self, local: bool, kind: int) -> None:
        cancellation_type = ActivityCancellationType(kind)
        handle: Awaitable[str] | Any
        if local:
            handle = workflow.start_local_activity_method(
                Watched.waits,
                schedule_to_close_timeout=timedelta(seconds=30),
                cancellation_type=cancellation_type,
            )
        else:
            handle = workflow.start_activity_method(
                Watched.heartbeats,
                schedule_to_close_timeout=timedelta(seconds=30),
                heartbeat_timeout=timedelta(seconds=5),
                retry_policy=RetryPolicy(maximum_attempts=1),
                cancellation_type=cancellation_type,
            )
        await asyncio.sleep(0.01)
        handle.cancel()
        try:
            self._came_of_it = await handle
        except ActivityError as error:
            cancelled = isinstance(error.cause, CancelledError)
            self._came_of_it = "cancelled" if cancelled else "failed"
        await workflow.wait_condition(lambda: False)

    @workflow.query
    def came_of_it(self) -> str:
        return self._came_of_it


@pytest.mark.parametrize("local", [True, False], ids=["local", "remote"])
@pytest.mark.parametrize(
    "kind",
    [
        ActivityCancellationType.TRY_CANCEL,
        ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        ActivityCancellationType.ABANDON,
    ],
    ids=lambda kind: kind.name.lower(),
)
async def test_workflow_cancel_activity(
    client: Client, local: bool, kind: ActivityCancellationType
) -> None:
    watched = Watched()
    waited_for = kind is ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    expected = "Got cancelled error, cancelled? True" if waited_for else "cancelled"
    async with new_worker(
        client,
        CancelsActivityWorkflow,
        activities=[watched.heartbeats, watched.waits],
        **OFTEN,
    ) as worker:
        handle = await client.start_workflow(
            CancelsActivityWorkflow.run,
            args=[local, int(kind)],
            id=random_id(),
            task_queue=worker.task_queue,
            task_timeout=timedelta(seconds=1),
        )

        async def known() -> None:
            came_of_it = await handle.query(CancelsActivityWorkflow.came_of_it)
            assert came_of_it == expected

        await assert_eventually(known)
        if kind is ActivityCancellationType.ABANDON:
            assert watched.began.is_set()
            assert not watched.ended.is_set()
        else:
            await asyncio.wait_for(watched.ended.wait(), 10)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        assert isinstance(failed.value.cause, CancelledError)
        await asyncio.wait_for(watched.ended.wait(), 10)
