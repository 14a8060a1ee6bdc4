"""Activities in threads and in other processes, and heartbeats from there."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from temporalio.activity import _Context

from dbosify import activity
from dbosify.client import Client
from dbosify.common import RawValue
from dbosify.exceptions import ApplicationError, TimeoutType
from dbosify.exceptions import TimeoutError as TimedOutError
from dbosify.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    Worker,
)
from tests.ported_temporal.activity_calls import (
    call,
    failed_call,
    process_pool,
    start_call,
)
from tests.ported_temporal.scaffold import new_worker

FEWER_THREADS_THAN_SLOTS = "but activity_executor's max_workers is only"


@activity.defn
def tell_type() -> str:
    """Say what the activity, wherever it runs, knows of itself."""
    return f"activity type: {activity.info().activity_type}"


async def test_sync_activity_thread(client: Client, worker: Worker) -> None:
    with ThreadPoolExecutor() as pool:
        with pytest.warns(
            UserWarning,
            match=f"Worker max_concurrent_activities is 50 {FEWER_THREADS_THAN_SLOTS}",
        ):
            called = new_worker(
                client,
                activities=[tell_type],
                activity_executor=pool,
                max_concurrent_activities=50,
            )
        async with called:
            result = await call(worker, called, "tell_type")
    assert result == "activity type: tell_type"


async def test_sync_activity_process(client: Client, worker: Worker) -> None:
    with process_pool() as options:
        with pytest.warns(
            UserWarning,
            match=f"Worker max_concurrent_activities is 50 {FEWER_THREADS_THAN_SLOTS}",
        ):
            called = new_worker(
                client,
                activities=[tell_type],
                **{**options, "max_concurrent_activities": 50},
            )
        async with called:
            result = await call(worker, called, "tell_type")
    assert result == "activity type: tell_type"


async def test_sync_activity_process_non_picklable(client: Client) -> None:
    @activity.defn
    def only_here() -> None:
        raise AssertionError("no worker takes it")

    refused = pytest.raises(TypeError, match="must be picklable when using a process")
    with process_pool() as options, refused:
        new_worker(client, activities=[only_here], **options)


@dataclass
class Joined:
    text: str


@activity.defn(dynamic=True)
def join_any(args: Sequence[RawValue]) -> Joined:
    """Put the activity's name and its arguments, decoded one by one, together."""
    converter = activity.payload_converter()
    first, second = [converter.from_payload(arg.payload, Joined) for arg in args]
    name = activity.info().activity_type
    return Joined(f"{name} - {first.text} - {second.text}")


async def assert_joins(worker: Worker, called: Worker) -> None:
    """The worker's dynamic activity takes a name that nobody registered."""
    result = await call(
        worker, called, "some-activity-name", Joined("val1"), Joined("val2")
    )
    assert result == {"text": "some-activity-name - val1 - val2"}


async def test_sync_activity_dynamic_thread(client: Client, worker: Worker) -> None:
    with ThreadPoolExecutor(1) as pool:
        async with new_worker(
            client,
            activities=[join_any],
            activity_executor=pool,
            max_concurrent_activities=1,
        ) as called:
            await assert_joins(worker, called)


async def test_sync_activity_dynamic_process(client: Client, worker: Worker) -> None:
    with process_pool() as options:
        async with new_worker(client, activities=[join_any], **options) as called:
            await assert_joins(worker, called)


class NoJson:
    """What no converter knows how to send."""


async def test_activity_heartbeat_details_converter_fail(
    client: Client, worker: Worker
) -> None:
    @activity.defn
    async def beat_with_no_json() -> None:
        activity.heartbeat(NoJson())
        await asyncio.Event().wait()

    async with new_worker(client, activities=[beat_with_no_json]) as called:
        cause = await failed_call(await start_call(worker, called, "beat_with_no_json"))
    assert isinstance(cause, ApplicationError)
    assert str(cause).endswith("is not JSON serializable")


@activity.defn
def beat_with_lambda() -> None:
    """Heartbeat with something that can't leave this process."""
    activity.heartbeat(lambda: None)


async def test_sync_activity_process_non_picklable_heartbeat_details(
    client: Client, worker: Worker
) -> None:
    with process_pool() as options:
        async with new_worker(
            client, activities=[beat_with_lambda], **options
        ) as called:
            cause = await failed_call(
                await start_call(worker, called, "beat_with_lambda")
            )
    assert isinstance(cause, ApplicationError)
    assert "Can't pickle" in str(cause) or (
        "Can't get local object 'beat_with_lambda.<locals>.<lambda>'" in str(cause)
    )


async def test_activity_heartbeat_context(client: Client, worker: Worker) -> None:
    @activity.defn
    async def beat_elsewhere() -> list[str]:
        if activity.info().attempt == 1:
            context = _Context.current()
            await asyncio.to_thread(asyncio.run, beat_on_this_loop(context))
            raise RuntimeError("try again")
        return list(activity.info().heartbeat_details)

    async with new_worker(client, activities=[beat_elsewhere]) as called:
        result = await call(worker, called, "beat_elsewhere", retry_max_attempts=2)
    assert result == ["from elsewhere"]


async def beat_on_this_loop(context: _Context) -> None:
    """Heartbeat for the context's activity, and wait until that is under way."""
    _Context.set(context)
    activity.heartbeat("from elsewhere")
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})


class HeldOpen(Interceptor):
    """Keeps the activities of one type open after their functions returned."""

    def __init__(self, activity_type: str) -> None:
        self.activity_type = activity_type
        self.cancelled = threading.Event()

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002 - the SDK's own name
    ) -> ActivityInboundInterceptor:
        return _UntilCancelled(next, self)


class _UntilCancelled(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, held: HeldOpen) -> None:
        super().__init__(inner)
        self._held = held

    def _beat_until_cancelled(self) -> None:
        # A worker learns from the answer to a heartbeat that the attempt is over.
        while not activity.is_cancelled():
            activity.heartbeat()
            activity.wait_for_cancelled_sync(0.05)
        self._held.cancelled.set()

    async def execute_activity(
        self,
        input: ExecuteActivityInput,  # noqa: A002 - the SDK's own name
    ) -> Any:
        result = await super().execute_activity(input)
        if activity.info().activity_type == self._held.activity_type:
            await asyncio.to_thread(self._beat_until_cancelled)
        return result


@activity.defn
def return_at_once() -> None:
    """Leave the pool's thread free for others."""


@activity.defn
def probe() -> str:
    """Show that the pool's thread is still there."""
    return "probe"


async def test_sync_activity_cancel_after_return_does_not_kill_thread_pool_worker(
    client: Client, worker: Worker
) -> None:
    held = HeldOpen("return_at_once")
    with ThreadPoolExecutor(1) as pool:
        with pytest.warns(
            UserWarning,
            match=f"Worker max_concurrent_activities is 2 {FEWER_THREADS_THAN_SLOTS}",
        ):
            called = new_worker(
                client,
                activities=[return_at_once, probe],
                activity_executor=pool,
                max_concurrent_activities=2,
                interceptors=[held],
                default_heartbeat_throttle_interval=timedelta(milliseconds=50),
            )
        async with called:
            timed_out = await failed_call(
                await start_call(
                    worker, called, "return_at_once", start_to_close_millis=200
                )
            )
            assert await asyncio.to_thread(held.cancelled.wait, 5)
            assert await asyncio.wait_for(call(worker, called, "probe"), 5) == "probe"
            assert [thread.is_alive() for thread in pool._threads] == [True]
    assert isinstance(timed_out, TimedOutError)
    assert timed_out.type == TimeoutType.START_TO_CLOSE
