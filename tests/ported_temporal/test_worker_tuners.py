"""Slots: tuners of every kind, what a slot supplier is asked, and wrong options."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Literal, TypeAlias

import pytest

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.worker import (
    ActivitySlotInfo,
    CustomSlotSupplier,
    FixedSizeSlotSupplier,
    PollerBehaviorAutoscaling,
    ResourceBasedSlotConfig,
    ResourceBasedSlotSupplier,
    ResourceBasedTunerConfig,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
    WorkerTuner,
    WorkflowSlotInfo,
)
from tests.ported_temporal.scaffold import new_worker, random_id
from tests.waiting import eventually

SlotSupplier: TypeAlias = (
    FixedSizeSlotSupplier | ResourceBasedSlotSupplier | CustomSlotSupplier
)

MINUTE = timedelta(minutes=1)


@activity.defn
async def say_hello(name: str) -> str:
    """Greet."""
    return f"Hello, {name}!"


@workflow.defn
class WaitThenGreet:
    """Waits for a signal, then lets an activity greet."""

    def __init__(self) -> None:
        self._may_greet = False

    @workflow.run
    async def run(self) -> str:
        """Greet when told."""
        await workflow.wait_condition(lambda: self._may_greet)
        return await workflow.execute_activity(
            say_hello, "Ada", start_to_close_timeout=MINUTE
        )

    @workflow.signal
    def greet(self) -> None:
        """Let it."""
        self._may_greet = True


@workflow.defn
class Simple:
    """Ends at once."""

    @workflow.run
    async def run(self) -> str:
        """End."""
        return "hi"


async def greeted_after_a_signal(client: Client, **options: Any) -> str:
    """The outcome of `WaitThenGreet` on a worker with these options."""
    async with new_worker(
        client, WaitThenGreet, activities=[say_hello], **options
    ) as worker:
        handle = await client.start_workflow(
            WaitThenGreet.run, id=random_id(), task_queue=worker.task_queue
        )
        await handle.query("__stack_trace")  # its first task is over
        await handle.signal(WaitThenGreet.greet)
        return await handle.result()


def composite(supplier: Callable[[], SlotSupplier]) -> WorkerTuner:
    """A tuner with the same kind of supplier for everything."""
    return WorkerTuner.create_composite(
        workflow_supplier=supplier(),
        activity_supplier=supplier(),
        local_activity_supplier=supplier(),
        nexus_supplier=supplier(),
    )


async def test_can_run_resource_based_worker(client: Client) -> None:
    tuner = WorkerTuner.create_resource_based(
        target_memory_usage=0.5,
        target_cpu_usage=0.5,
        workflow_config=ResourceBasedSlotConfig(5, 20, timedelta(0)),
        activity_config=ResourceBasedSlotConfig(minimum_slots=1),
    )
    assert await greeted_after_a_signal(client, tuner=tuner) == "Hello, Ada!"


async def test_can_run_composite_tuner_worker(client: Client) -> None:
    by_resources = ResourceBasedSlotSupplier(
        ResourceBasedSlotConfig(ramp_throttle=timedelta(milliseconds=60)),
        ResourceBasedTunerConfig(0.5, 0.5),
    )
    tuner = WorkerTuner.create_composite(
        workflow_supplier=FixedSizeSlotSupplier(5),
        activity_supplier=by_resources,
        local_activity_supplier=by_resources,
        nexus_supplier=FixedSizeSlotSupplier(10),
    )
    assert await greeted_after_a_signal(client, tuner=tuner) == "Hello, Ada!"


async def test_suppliers_of_one_tuner_cannot_aim_at_different_usages(
    client: Client,
) -> None:
    targets: Iterator[float] = iter([0.5, 0.6, 0.7, 0.8])

    def supplier() -> SlotSupplier:
        return ResourceBasedSlotSupplier(
            ResourceBasedSlotConfig(), ResourceBasedTunerConfig(next(targets), 0.5)
        )

    with pytest.raises(ValueError, match="must have the same ResourceBasedTunerOption"):
        new_worker(client, Simple, tuner=composite(supplier))


async def test_cant_specify_max_concurrent_and_tuner(client: Client) -> None:
    tuner = WorkerTuner.create_resource_based(
        target_memory_usage=0.5,
        target_cpu_usage=0.5,
        workflow_config=ResourceBasedSlotConfig(5, 20),
    )
    with pytest.raises(ValueError, match=r"Cannot specify .*when also specifying tune"):
        new_worker(client, Simple, tuner=tuner, max_concurrent_workflow_tasks=10)


async def test_warns_when_workers_too_low(client: Client) -> None:
    tuner = WorkerTuner.create_resource_based(
        target_memory_usage=0.5, target_cpu_usage=0.5
    )
    too_few = "max_concurrent_activities is 500 but activity_executor's max_workers is"
    with (
        ThreadPoolExecutor() as pool,
        pytest.warns(UserWarning, match=f"Worker {too_few} only"),
    ):
        new_worker(client, activities=[say_hello], activity_executor=pool, tuner=tuner)


class Permit(SlotPermit):
    """A permit that can be told from all others."""

    def __init__(self, number: int) -> None:
        self.number = number


class Recording(CustomSlotSupplier):
    """Gives every slot and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[SlotReserveContext] = []
        self.given: list[Permit] = []
        self.used: list[tuple[Any, SlotPermit]] = []
        self.released: list[tuple[Any, SlotPermit]] = []

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        return self._give(ctx)

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        return self._give(ctx)

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        self.used.append((ctx.slot_info, ctx.permit))

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        self.released.append((ctx.slot_info, ctx.permit))

    def _give(self, ctx: SlotReserveContext) -> Permit:
        self.asked.append(ctx)
        self.given.append(Permit(len(self.given)))
        return self.given[-1]


async def test_custom_slot_supplier(client: Client) -> None:
    supplier = Recording()
    result = await greeted_after_a_signal(
        client,
        tuner=composite(lambda: supplier),
        identity="myworker",
        build_id="1.0",
    )
    assert result == "Hello, Ada!"
    assert {ctx.worker_identity for ctx in supplier.asked} == {"myworker"}
    assert len({ctx.task_queue for ctx in supplier.asked}) == 1
    kinds: set[Literal["workflow", "activity", "local-activity"]] = {
        ctx.slot_type for ctx in supplier.asked
    }
    assert {"workflow", "activity", "local-activity"} <= kinds
    assert {ctx.is_sticky for ctx in supplier.asked} == {True, False}
    # Its first task, the signal, the activity's result; and the activity.
    workflow_tasks = [i for i, _ in supplier.used if isinstance(i, WorkflowSlotInfo)]
    assert {info.workflow_type for info in workflow_tasks} == {"WaitThenGreet"}
    assert {info.is_sticky for info in workflow_tasks} == {True, False}
    activities = [
        info
        for info, _ in supplier.used
        if isinstance(info, ActivitySlotInfo) and not isinstance(info, WorkflowSlotInfo)
    ]
    assert [info.activity_type for info in activities] == ["say_hello"]
    assert all(permit in supplier.given for _, permit in supplier.used)

    async def all_given_back() -> None:
        numbers = [p.number for _, p in supplier.released if isinstance(p, Permit)]
        assert len(numbers) == len(set(numbers))
        assert {p.number for _, p in supplier.used if isinstance(p, Permit)} <= set(
            numbers
        )

    await eventually(all_given_back)
    assert {info is None for info, _ in supplier.released} == {True, False}


class Throwing(CustomSlotSupplier):
    """Gives slots for workflow tasks until the first is used, and else raises."""

    def __init__(self) -> None:
        self._used = False

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        if ctx.slot_type == "workflow" and not self._used:
            return SlotPermit()
        # Without a pause the real core asks again at once, as often as it can.
        await asyncio.sleep(0.05)
        raise ValueError("no slot for you")

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        raise ValueError("no slot for you")

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        self._used = True
        raise ValueError("not used")

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        raise ValueError("not released")


async def test_throwing_slot_supplier(client: Client) -> None:
    supplier = Throwing()
    async with new_worker(client, Simple, tuner=composite(lambda: supplier)) as worker:
        result = await client.execute_workflow(
            Simple.run, id=random_id(), task_queue=worker.task_queue
        )
    assert result == "hi"


class Blocking(CustomSlotSupplier):
    """Never gives a slot."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.cancelled = 0

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        self.asked.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        raise AssertionError("nobody sets the result")

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        return None

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        raise AssertionError("no slot was given")

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        raise AssertionError("no slot was given")


async def test_blocking_slot_supplier(client: Client) -> None:
    supplier = Blocking()
    async with new_worker(
        client, Simple, activities=[say_hello], tuner=composite(lambda: supplier)
    ):
        await supplier.asked.wait()

    async def cancelled() -> None:
        assert supplier.cancelled

    await eventually(cancelled)


class Capped(CustomSlotSupplier):
    """Eight slots at a time."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(8)
        self.in_use = 0
        self.most = 0

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        await self._free.acquire()
        return SlotPermit()

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        return None

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        self.in_use += 1
        self.most = max(self.most, self.in_use)

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        self.in_use -= ctx.slot_info is not None
        self._free.release()


@activity.defn
async def heartbeat_often(number: int) -> int:
    """Heartbeat, and never wait."""
    for beat in range(50):
        activity.heartbeat(beat)
    return number


@workflow.defn
class ManyHeartbeatingActivities:
    """Runs many short activities, some at the same time."""

    @workflow.run
    async def run(self, count: int) -> int:
        """Give their sum."""
        window = asyncio.Semaphore(30)

        async def one(number: int) -> int:
            async with window:
                return await workflow.execute_activity(
                    heartbeat_often,
                    number,
                    start_to_close_timeout=MINUTE,
                    heartbeat_timeout=MINUTE,
                )

        return sum(await asyncio.gather(*(one(number) for number in range(count))))


async def test_custom_slot_supplier_with_heartbeating_activities(
    client: Client,
) -> None:
    capped = Capped()
    fixed = FixedSizeSlotSupplier(10)
    tuner = WorkerTuner.create_composite(
        workflow_supplier=fixed,
        activity_supplier=capped,
        local_activity_supplier=fixed,
        nexus_supplier=fixed,
    )
    async with new_worker(
        client, ManyHeartbeatingActivities, activities=[heartbeat_often], tuner=tuner
    ) as worker:
        total = await client.execute_workflow(
            ManyHeartbeatingActivities.run,
            60,
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert total == sum(range(60))
    assert 1 <= capped.most <= 8
    assert capped.in_use == 0


async def test_can_run_autoscaling_polling_worker(client: Client) -> None:
    behavior = PollerBehaviorAutoscaling(initial=2)
    async with new_worker(
        client,
        Simple,
        activities=[say_hello],
        workflow_task_poller_behavior=behavior,
        activity_task_poller_behavior=behavior,
    ) as worker:
        results = await asyncio.gather(
            *(
                client.execute_workflow(
                    Simple.run, id=random_id(), task_queue=worker.task_queue
                )
                for _ in range(20)
            )
        )
    assert results == ["hi"] * 20


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"max_concurrent_workflow_task_polls": 1},
            "requires `workflow_task_poller_behavior` to be at least 2",
        ),
        (
            {"max_activities_per_second": 0},
            "`max_worker_activities_per_second` must be positive and nonzero",
        ),
        (
            {"max_activities_per_second": float("nan")},
            "`max_worker_activities_per_second` must be positive and nonzero",
        ),
        (
            {"activity_task_poller_behavior": PollerBehaviorAutoscaling(0, 5, 5)},
            "Autoscaling minimum poller behavior must be at least 1",
        ),
        (
            {"activity_task_poller_behavior": PollerBehaviorAutoscaling(6, 5, 6)},
            "Autoscaling maximum must be greater than or equal to minimum",
        ),
        (
            {"activity_task_poller_behavior": PollerBehaviorAutoscaling(1, 5, 6)},
            "Autoscaling initial must be between minimum and maximum",
        ),
    ],
)
async def test_the_core_refuses_options_that_make_no_sense(
    client: Client, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=f"Invalid worker config.*{text}"):
        new_worker(client, Simple, activities=[say_hello], **options)
