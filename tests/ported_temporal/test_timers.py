"""Waiting for time to pass: sleeps, timeouts, and what they leave in history."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.api.enums.v1 import EventType
from dbosify.api.sdk.v1 import WorkflowMetadata
from dbosify.client import Client, WorkflowFailureError
from dbosify.exceptions import ActivityError, CancelledError
from tests.ported_temporal.scaffold import (
    assert_event_subsequence,
    assert_eventually,
    event_types_of,
    events_of,
    new_worker,
    random_id,
)

TIMER_STARTED = EventType.EVENT_TYPE_TIMER_STARTED
TIMER_FIRED = EventType.EVENT_TYPE_TIMER_FIRED
TIMER_CANCELED = EventType.EVENT_TYPE_TIMER_CANCELED
SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED


@workflow.defn
class WaitConditionTimeoutWorkflow:
    def __init__(self) -> None:
        self._may_finish = False
        self._timed_out = False

    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.wait_condition(
                lambda: self._may_finish, timeout=0.01, timeout_summary="too short"
            )
        except asyncio.TimeoutError:
            self._timed_out = True
        await workflow.wait_condition(lambda: self._may_finish)
        return "timed out first" if self._timed_out else "didn't time out"

    @workflow.signal
    def finish(self) -> None:
        self._may_finish = True

    @workflow.query
    def timed_out(self) -> bool:
        return self._timed_out


async def test_workflow_wait_condition_timeout(client: Client) -> None:
    async with new_worker(client, WaitConditionTimeoutWorkflow) as worker:
        handle = await client.start_workflow(
            WaitConditionTimeoutWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
        )

        async def timed_out() -> None:
            assert await handle.query(WaitConditionTimeoutWorkflow.timed_out)

        await assert_eventually(timed_out)
        await handle.signal(WaitConditionTimeoutWorkflow.finish)
        assert await handle.result() == "timed out first"


@workflow.defn
class CancelledTimerWorkflow:
    """Sleeps, until a signal cancels the sleep."""

    def __init__(self) -> None:
        self._timer: asyncio.Task[None] | None = None

    @workflow.run
    async def run(self, seconds: float) -> str:
        self._timer = asyncio.create_task(workflow.sleep(seconds))
        try:
            await self._timer
        except asyncio.CancelledError:
            return "timer_cancelled"
        return "timer_fired"

    @workflow.signal
    def cancel_timer(self) -> None:
        assert self._timer is not None
        self._timer.cancel()


async def test_workflow_sleep_task_cancellation(client: Client) -> None:
    async with new_worker(client, CancelledTimerWorkflow) as worker:
        handle = await client.start_workflow(
            CancelledTimerWorkflow.run,
            timedelta(hours=1).total_seconds(),
            id=random_id(),
            task_queue=worker.task_queue,
        )
        await assert_event_subsequence(handle, [TIMER_STARTED])
        await handle.signal(CancelledTimerWorkflow.cancel_timer)
        assert await handle.result() == "timer_cancelled"
    await assert_event_subsequence(handle, [TIMER_STARTED, SIGNALED, TIMER_CANCELED])


async def test_workflow_cancel_signal_and_timer_fired_in_same_task(
    client: Client,
) -> None:
    task_queue = random_id("queue")

    def uncached_worker() -> Any:
        return new_worker(
            client,
            CancelledTimerWorkflow,
            task_queue=task_queue,
            max_cached_workflows=0,
        )

    async with uncached_worker():
        handle = await client.start_workflow(
            CancelledTimerWorkflow.run, 1.5, id=random_id(), task_queue=task_queue
        )
        await assert_event_subsequence(handle, [TIMER_STARTED])
        # A timer may be a second late; nothing tells that it is due but the clock.
        fired_at = time.monotonic() + 1.5 + 1.0

    async def timer_is_due() -> None:
        assert time.monotonic() > fired_at

    # With nobody there to work, both wait for the same task.
    await handle.signal(CancelledTimerWorkflow.cancel_timer)
    await assert_eventually(timer_is_due)
    async with uncached_worker():
        assert await handle.result() == "timer_cancelled"
    await assert_event_subsequence(handle, [SIGNALED, TIMER_FIRED])
    assert "TIMER_CANCELED" not in await event_types_of(handle)


@activity.defn
async def wait_until_cancelled() -> None:
    await asyncio.Event().wait()


async def run_activity() -> None:
    """What each of the ways to time out interrupts."""
    await workflow.execute_activity(
        wait_until_cancelled, start_to_close_timeout=timedelta(seconds=20)
    )


if sys.version_info >= (3, 11):

    async def by_timeout() -> None:
        async with asyncio.timeout(0.2):
            await run_activity()

    async def by_timeout_at() -> None:
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + 0.2):
            await run_activity()


async def by_wait_for() -> None:
    await asyncio.wait_for(run_activity(), 0.2)


async def by_call_later() -> None:
    task = asyncio.create_task(run_activity())
    asyncio.get_running_loop().call_later(0.2, task.cancel)
    await task


async def by_call_at() -> None:
    task = asyncio.create_task(run_activity())
    loop = asyncio.get_running_loop()
    loop.call_at(loop.time() + 0.2, task.cancel)
    await task


WAYS_TO_TIME_OUT: Mapping[str, Callable[[], Awaitable[None]]] = {
    "wait_for": by_wait_for,
    "call_later": by_call_later,
    "call_at": by_call_at,
    **(
        {"timeout": by_timeout, "timeout_at": by_timeout_at}
        if sys.version_info >= (3, 11)
        else {}
    ),
}


@workflow.defn
class TimeoutSupportWorkflow:
    @workflow.run
    async def run(self, way: str) -> None:
        await WAYS_TO_TIME_OUT[way]()


@pytest.mark.parametrize("way", WAYS_TO_TIME_OUT)
async def test_workflow_timeout_support(client: Client, way: str) -> None:
    async with new_worker(
        client, TimeoutSupportWorkflow, activities=[wait_until_cancelled]
    ) as worker:
        handle = await client.start_workflow(
            TimeoutSupportWorkflow.run,
            way,
            id=random_id(),
            task_queue=worker.task_queue,
        )
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert isinstance(failed.value.cause, ActivityError)
    assert isinstance(failed.value.cause.cause, CancelledError)
    first_timer = next(
        event.timer_started_event_attributes
        for event in await events_of(handle)
        if event.event_type == TIMER_STARTED
    )
    assert first_timer.start_to_fire_timeout.ToTimedelta() == timedelta(seconds=0.2)


@workflow.defn
class SleepWorkflow:
    @workflow.run
    async def run(self) -> float:
        began = workflow.time()
        await workflow.sleep(1)
        return workflow.time() - began


async def test_workflow_sleep(client: Client) -> None:
    async with new_worker(client, SleepWorkflow) as worker:
        began = time.monotonic()
        slept = await client.execute_workflow(
            SleepWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert time.monotonic() - began >= 1
    assert slept >= 1


@workflow.defn
class ConcurrentSleepsWorkflow:
    """Starts timers in every way at once; each must get the summary it was given."""

    @workflow.run
    async def run(self) -> None:
        await asyncio.gather(
            *[workflow.sleep(0.1, summary=f"t{i}") for i in range(5)],
            workflow.sleep(0, summary="zero_timer"),
            self._wait_in_vain(0.1, "wait_some"),
            self._wait_in_vain(0, "wait_none"),
            workflow.sleep(0.1),
            *[workflow.sleep(0.1, summary=f"t{i}") for i in range(5, 10)],
        )
        await asyncio.gather(self._sleep_five_times(100), self._sleep_five_times(105))

    async def _sleep_five_times(self, first: int) -> None:
        await asyncio.gather(
            *[workflow.sleep(0.1, summary=f"m_t{i}") for i in range(first, first + 5)]
        )

    async def _wait_in_vain(self, timeout: float, summary: str) -> None:
        try:
            await workflow.wait_condition(
                lambda: False, timeout=timeout, timeout_summary=summary
            )
        except asyncio.TimeoutError:
            return
        raise AssertionError("nobody meets this condition")


async def test_concurrent_sleeps_use_proper_options(client: Client) -> None:
    async with new_worker(
        client, ConcurrentSleepsWorkflow, max_cached_workflows=0
    ) as worker:
        handle = await client.start_workflow(
            ConcurrentSleepsWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await handle.result()
        # Without a cache, an answer means that the run was replayed.
        metadata: WorkflowMetadata = await handle.query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
    assert metadata.definition.type == "ConcurrentSleepsWorkflow"
    decode = client.data_converter.payload_converter.from_payload
    summaries = [
        decode(event.user_metadata.summary)
        if event.user_metadata.HasField("summary")
        else None
        for event in await events_of(handle)
        if event.event_type == TIMER_STARTED
    ]
    assert summaries == [
        *(f"t{i}" for i in range(5)),
        "zero_timer",
        "wait_some",
        # A wait without any patience needs no timer.
        None,
        *(f"t{i}" for i in range(5, 10)),
        *(f"m_t{i}" for i in range(100, 110)),
    ]
