"""Cancelling workflows: what their code sees of it, and what they cancel themselves."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.api.enums.v1 import EventType
from dbosify.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from dbosify.common import RetryPolicy
from dbosify.exceptions import ActivityError, CancelledError, ChildWorkflowError
from dbosify.worker import Worker
from dbosify.workflow import ActivityCancellationType
from tests.ported_temporal.kitchen_sink import (
    Action,
    KitchenSinkWorkflow,
    Script,
    Sleep,
)
from tests.ported_temporal.scaffold import (
    assert_event_subsequence,
    assert_eventually,
    captured_logs,
    event_types_of,
    events_of,
    new_worker,
    random_id,
    single_batch_worker,
)

TASK_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
CHILD_STARTED = EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED
SHIELDED = "exception in shielded future"
LONG = timedelta(minutes=5)


async def assert_cancelled(handle: WorkflowHandle[Any, Any]) -> CancelledError:
    """Wait until the run has ended as cancelled; give its cause."""
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, CancelledError)
    return failed.value.cause


async def test_cancel(client: Client, worker: Worker) -> None:
    handle = await client.start_workflow(
        KitchenSinkWorkflow.run,
        Script([Action(sleep=Sleep(50_000))]),
        id=random_id(),
        task_queue=worker.task_queue,
    )
    await handle.cancel()
    await assert_cancelled(handle)


@workflow.defn
class LongSleepWorkflow:
    """Sleeps, and says that it has begun to."""

    def __init__(self) -> None:
        self._began = False

    @workflow.run
    async def run(self) -> None:
        self._began = True
        await asyncio.sleep(1000)

    @workflow.query
    def began(self) -> bool:
        return self._began


async def test_workflow_simple_cancel(client: Client) -> None:
    async with new_worker(client, LongSleepWorkflow) as worker:
        handle = await client.start_workflow(
            LongSleepWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )

        async def began() -> None:
            assert await handle.query(LongSleepWorkflow.began)

        await assert_eventually(began)
        await handle.cancel()
        await assert_cancelled(handle)
        assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED


@workflow.defn
class ReasonsWorkflow:
    """Notes the reason after a task of its own, and after itself, was cancelled."""

    def __init__(self) -> None:
        self._inner: str | None = "not asked"
        self._outer: str | None = "not asked"
        self._waits = False

    @workflow.run
    async def run(self) -> None:
        task = asyncio.create_task(workflow.wait_condition(lambda: False))
        await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            self._inner = workflow.cancellation_reason()
        self._waits = True
        try:
            await workflow.wait_condition(lambda: False)
        except asyncio.CancelledError:
            self._outer = workflow.cancellation_reason()
            raise

    @workflow.query
    def waits(self) -> bool:
        return self._waits

    @workflow.query
    def inner(self) -> str | None:
        return self._inner

    @workflow.query
    def outer(self) -> str | None:
        return self._outer


@pytest.mark.parametrize("reason", ["user-supplied reason", ""])
async def test_workflow_cancellation_reason(client: Client, reason: str) -> None:
    async with new_worker(client, ReasonsWorkflow) as worker:
        handle = await client.start_workflow(
            ReasonsWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )

        async def waits() -> None:
            assert await handle.query(ReasonsWorkflow.waits)

        await assert_eventually(waits)
        if reason:
            await handle.cancel(reason=reason)
        else:
            await handle.cancel()
        await assert_cancelled(handle)
        assert await handle.query(ReasonsWorkflow.inner) is None
        assert await handle.query(ReasonsWorkflow.outer) == reason


@workflow.defn
class CatchesAtOnceWorkflow:
    """Returns how its first wait ended."""

    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.wait_condition(lambda: False)
        except asyncio.CancelledError:
            return "cancelled"
        return "not cancelled"


@pytest.mark.parametrize("single_batch", [False, True])
async def test_workflow_cancel_before_run(client: Client, single_batch: bool) -> None:
    queue = random_id("queue")
    handle = await client.start_workflow(
        CatchesAtOnceWorkflow.run, id=random_id(), task_queue=queue
    )
    await handle.cancel()
    if single_batch:
        worker = single_batch_worker(client, CatchesAtOnceWorkflow, queue)
    else:
        worker = new_worker(client, CatchesAtOnceWorkflow, task_queue=queue)
    async with worker:
        assert await handle.result() == "cancelled"


@workflow.defn
class ReadyAndCancelledWorkflow:
    """Waits twice: the second wait may end only by a signal."""

    def __init__(self) -> None:
        self._ready = False
        self._proceed = False

    @workflow.run
    async def run(self, with_timeout: bool) -> str:
        timeout = 300 if with_timeout else None
        try:
            await workflow.wait_condition(lambda: self._ready, timeout=timeout)
        except asyncio.CancelledError:
            await workflow.wait_condition(lambda: self._proceed, timeout=timeout)
            return "cancelled"
        return "not cancelled"

    @workflow.signal
    def make_ready(self) -> None:
        self._ready = True

    @workflow.signal
    def proceed(self) -> None:
        self._proceed = True


@pytest.mark.parametrize("with_timeout", [False, True])
async def test_workflow_cancel_and_condition_ready_in_same_activation(
    client: Client, with_timeout: bool
) -> None:
    queue = random_id("queue")
    async with single_batch_worker(client, ReadyAndCancelledWorkflow, queue):
        handle = await client.start_workflow(
            ReadyAndCancelledWorkflow.run,
            with_timeout,
            id=random_id(),
            task_queue=queue,
        )
        await assert_event_subsequence(handle, [TASK_COMPLETED])
    await handle.signal(ReadyAndCancelledWorkflow.make_ready)
    await handle.cancel()
    async with single_batch_worker(client, ReadyAndCancelledWorkflow, queue):
        await assert_event_subsequence(handle, [TASK_COMPLETED, TASK_COMPLETED])
        await handle.signal(ReadyAndCancelledWorkflow.proceed)
        assert await handle.result() == "cancelled"


@activity.defn
async def wait_for_ever() -> None:
    """Heartbeat until cancelled."""
    while True:
        await asyncio.sleep(0.1)
        activity.heartbeat()


@workflow.defn
class WaitsForActivityWorkflow:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            wait_for_ever,
            start_to_close_timeout=LONG,
            heartbeat_timeout=timedelta(seconds=2),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


@workflow.defn
class WaitsForChildWorkflow:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_child_workflow(WaitsForActivityWorkflow.run)


@pytest.mark.parametrize("by_activity", [True, False], ids=["activity", "child"])
async def test_workflow_uncaught_cancel(client: Client, by_activity: bool) -> None:
    async with new_worker(
        client,
        WaitsForActivityWorkflow,
        WaitsForChildWorkflow,
        activities=[wait_for_ever],
    ) as worker:
        kind = WaitsForActivityWorkflow if by_activity else WaitsForChildWorkflow
        handle = await client.start_workflow(
            kind.__name__, id=random_id(), task_queue=worker.task_queue
        )
        if by_activity:
            await assert_event_subsequence(handle, [TASK_COMPLETED])
        else:
            await assert_event_subsequence(handle, [CHILD_STARTED])
        await handle.cancel()
        await assert_cancelled(handle)


@workflow.defn
class ManyWaysWorkflow:
    """Cancels a gather of four things, one of them shielded."""

    def __init__(self) -> None:
        self._noted: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        gathered = asyncio.gather(
            self._note("timer", asyncio.sleep(1)),
            asyncio.shield(self._note("shielded timer", asyncio.sleep(1))),
            self._note("activity", self._activity()),
            self._note("child", workflow.execute_child_workflow(LongSleepWorkflow.run)),
            return_exceptions=True,
        )
        await asyncio.sleep(0.1)
        gathered.cancel()
        await workflow.wait_condition(lambda: len(self._noted) == 4, timeout=30)
        return sorted(self._noted)

    async def _activity(self) -> None:
        await workflow.execute_activity(
            wait_for_ever,
            start_to_close_timeout=LONG,
            heartbeat_timeout=timedelta(seconds=2),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )

    async def _note(self, what: str, awaitable: Awaitable[Any]) -> None:
        try:
            await awaitable
            self._noted.append(f"{what} done")
        except asyncio.CancelledError:
            self._noted.append(f"{what} cancelled")
        except (ActivityError, ChildWorkflowError) as error:
            cancelled = isinstance(error.cause, CancelledError)
            self._noted.append(f"{what} {'cancelled' if cancelled else 'failed'}")


async def test_workflow_cancel_multi(client: Client) -> None:
    async with new_worker(
        client, ManyWaysWorkflow, LongSleepWorkflow, activities=[wait_for_ever]
    ) as worker:
        noted = await client.execute_workflow(
            ManyWaysWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
    assert noted == [
        "activity cancelled",
        "child cancelled",
        "shielded timer done",
        "timer cancelled",
    ]


async def swallow(awaitable: Awaitable[Any]) -> None:
    """Wait, whatever comes of it."""
    with contextlib.suppress(asyncio.CancelledError, ActivityError, ChildWorkflowError):
        await awaitable


@workflow.defn
class UnsentWorkflow:
    """Begins many things and cancels each before its task is over."""

    @workflow.run
    async def run(self) -> None:
        begun: list[asyncio.Task[Any]] = [
            asyncio.create_task(asyncio.sleep(30)),
            workflow.start_activity(wait_for_ever, start_to_close_timeout=LONG),
            asyncio.create_task(
                workflow.execute_activity(wait_for_ever, start_to_close_timeout=LONG)
            ),
            workflow.start_local_activity(wait_for_ever, start_to_close_timeout=LONG),
            asyncio.create_task(
                workflow.execute_local_activity(
                    wait_for_ever, start_to_close_timeout=LONG
                )
            ),
            asyncio.create_task(workflow.start_child_workflow(LongSleepWorkflow.run)),
            asyncio.create_task(workflow.execute_child_workflow(LongSleepWorkflow.run)),
        ]
        await asyncio.sleep(0)
        for task in begun:
            task.cancel()
        for task in begun:
            await swallow(task)
        await asyncio.sleep(0.01)


async def test_workflow_cancel_unsent(client: Client) -> None:
    async with new_worker(
        client, UnsentWorkflow, LongSleepWorkflow, activities=[wait_for_ever]
    ) as worker:
        handle = await client.start_workflow(
            UnsentWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await handle.result()
    kinds = await event_types_of(handle)
    assert "ACTIVITY_TASK_SCHEDULED" not in kinds
    assert "START_CHILD_WORKFLOW_EXECUTION_INITIATED" not in kinds
    (timer,) = [
        event.timer_started_event_attributes
        for event in await events_of(handle)
        if event.HasField("timer_started_event_attributes")
    ]
    assert timer.start_to_fire_timeout.ToTimedelta() == timedelta(milliseconds=10)


@activity.defn
async def be_quick() -> None:
    """Do so little that it ends before it can hear of a cancellation."""
    await asyncio.sleep(0.05)


@workflow.defn
class QuickActivitiesWorkflow:
    @workflow.run
    async def run(self) -> None:
        while True:
            await workflow.execute_activity(
                be_quick, start_to_close_timeout=timedelta(seconds=10)
            )


async def test_quick_activity_swallows_cancellation(client: Client) -> None:
    async with new_worker(
        client, QuickActivitiesWorkflow, activities=[be_quick]
    ) as worker:
        handles = [
            await client.start_workflow(
                QuickActivitiesWorkflow.run,
                id=random_id(),
                task_queue=worker.task_queue,
            )
            for _ in range(3)
        ]
        for handle in handles:
            await assert_event_subsequence(
                handle, [EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED] * 2
            )
            await handle.cancel()
        for handle in handles:
            assert (await assert_cancelled(handle)).message == "Workflow cancelled"


@activity.defn
async def end_gracefully() -> str:
    """Heartbeat until cancelled, and say so."""
    try:
        while True:
            await asyncio.sleep(0.1)
            activity.heartbeat()
    except asyncio.CancelledError:
        return "ended gracefully"


@workflow.defn
class GracefulWorkflow:
    @workflow.run
    async def run(self) -> str:
        handle = workflow.start_activity(
            end_gracefully,
            start_to_close_timeout=LONG,
            heartbeat_timeout=timedelta(seconds=1),
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        await asyncio.sleep(0.01)
        handle.cancel()
        return await handle


async def test_workflow_uncancel_shield_activity(client: Client) -> None:
    with captured_logs(logging.getLogger(), level=logging.WARNING) as logs:
        async with new_worker(
            client,
            GracefulWorkflow,
            activities=[end_gracefully],
            max_heartbeat_throttle_interval=timedelta(milliseconds=200),
        ) as worker:
            result = await client.execute_workflow(
                GracefulWorkflow.run, id=random_id(), task_queue=worker.task_queue
            )
    assert result == "ended gracefully"
    assert logs.find_log(SHIELDED) is None


@workflow.defn
class FourActivitiesWorkflow:
    @workflow.run
    async def run(self) -> None:
        await asyncio.gather(
            *(
                workflow.execute_activity(
                    wait_for_ever,
                    start_to_close_timeout=timedelta(seconds=60),
                    heartbeat_timeout=timedelta(seconds=2),
                )
                for _ in range(4)
            )
        )


async def test_workflow_cancel_no_shielded_future_log(client: Client) -> None:
    with captured_logs(logging.getLogger(), level=logging.ERROR) as logs:
        async with new_worker(
            client, FourActivitiesWorkflow, activities=[wait_for_ever]
        ) as worker:
            handle = await client.start_workflow(
                FourActivitiesWorkflow.run,
                id=random_id(),
                task_queue=worker.task_queue,
            )

            async def all_started() -> None:
                pending = (await handle.describe()).raw_description.pending_activities
                assert sum(info.HasField("last_started_time") for info in pending) == 4

            await assert_eventually(all_started)
            await handle.cancel()
            await assert_cancelled(handle)
    assert logs.find(lambda record: SHIELDED in record.getMessage()) is None
