"""What goes on around local activities: the end of their run, updates, slots."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.client import Client, WorkflowFailureError, WorkflowHandle
from dbosify.exceptions import ApplicationError, FailureError, TerminatedError
from dbosify.worker import (
    ActivitySlotInfo,
    CustomSlotSupplier,
    FixedSizeSlotSupplier,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
    WorkerTuner,
    WorkflowSlotInfo,
)
from tests.ported_temporal.one_local_activity import (
    LocalOrder,
    OneLocalActivityWorkflow,
    data_of,
    described,
    markers_of,
    start,
)
from tests.ported_temporal.scaffold import (
    event_types_of,
    new_worker,
    random_id,
)
from tests.waiting import PATIENCE, eventually

TASK = ["WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_COMPLETED"]
A_SECOND = timedelta(seconds=1)


@dataclass
class Patient:
    """An activity that ends when it is told to, and remembers that."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    times: int = 0

    @activity.defn(name="wait_patiently")
    async def wait(self) -> str:
        self.times += 1
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.told.set()
            raise
        return "never"


async def test_one_whose_run_is_terminated_is_told_to_end(client: Client) -> None:
    patient = Patient()
    async with new_worker(
        client, OneLocalActivityWorkflow, activities=[patient.wait]
    ) as worker:
        handle = await client.start_workflow(
            OneLocalActivityWorkflow.run,
            LocalOrder("wait_patiently"),
            id=random_id(),
            task_queue=worker.task_queue,
            task_timeout=A_SECOND,
        )
        await patient.begun.wait()
        await handle.terminate()
        await asyncio.wait_for(patient.told.wait(), PATIENCE)
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, TerminatedError)
    assert patient.times == 1


async def test_a_cancelled_run_cancels_its_own_with_the_next_task(
    client: Client,
) -> None:
    patient = Patient()
    async with new_worker(
        client, OneLocalActivityWorkflow, activities=[patient.wait]
    ) as worker:
        handle = await client.start_workflow(
            OneLocalActivityWorkflow.run,
            LocalOrder("wait_patiently"),
            id=random_id(),
            task_queue=worker.task_queue,
            task_timeout=A_SECOND,
        )
        await patient.begun.wait()
        await handle.cancel()
        assert await handle.result() == "CancelledError: Activity cancelled"
        await asyncio.wait_for(patient.told.wait(), PATIENCE)
    types = await event_types_of(handle)
    assert types.index("WORKFLOW_EXECUTION_CANCEL_REQUESTED") > types.index(TASK[-1])
    assert types[-2:] == ["MARKER_RECORDED", "WORKFLOW_EXECUTION_COMPLETED"]


@workflow.defn
class ImpatientWorkflow:
    @workflow.run
    async def run(self) -> str:
        try:
            await asyncio.wait_for(start(LocalOrder("wait_patiently")), 0.1)
        except FailureError as error:
            return described(error)
        return "waited"


async def test_a_timer_begins_with_the_end_of_a_task_and_fires_for_the_next(
    client: Client,
) -> None:
    patient = Patient()
    async with new_worker(
        client, ImpatientWorkflow, activities=[patient.wait]
    ) as worker:
        handle = await client.start_workflow(
            ImpatientWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            task_timeout=A_SECOND,
        )
        assert await handle.result() == "CancelledError: Activity cancelled"
        await asyncio.wait_for(patient.told.wait(), PATIENCE)
    assert patient.times == 1
    assert await event_types_of(handle) == [
        "WORKFLOW_EXECUTION_STARTED",
        *TASK,
        "TIMER_STARTED",
        *TASK,
        "TIMER_FIRED",
        *TASK,
        "MARKER_RECORDED",
        "WORKFLOW_EXECUTION_COMPLETED",
    ]


@workflow.defn
class LeavesOneBehindWorkflow:
    @workflow.run
    async def run(self, how: str) -> str:
        start(LocalOrder("wait_patiently"))
        await start(LocalOrder("until_it_runs"))
        if how == "fails":
            raise ApplicationError("the end")
        if how == "goes on":
            workflow.continue_as_new("returns at once")
        return how

    @staticmethod
    def told(patient: Patient) -> list[Callable[..., Any]]:
        """The activities."""

        @activity.defn
        async def until_it_runs() -> None:
            await patient.begun.wait()

        return [patient.wait, until_it_runs]


@pytest.mark.parametrize("how", ["returns", "fails"])
async def test_one_that_is_left_behind_is_told_to_end(client: Client, how: str) -> None:
    patient = Patient()
    async with new_worker(
        client,
        LeavesOneBehindWorkflow,
        activities=LeavesOneBehindWorkflow.told(patient),
    ) as worker:
        handle = await client.start_workflow(
            LeavesOneBehindWorkflow.run,
            how,
            id=random_id(),
            task_queue=worker.task_queue,
        )
        await asyncio.wait_for(patient.told.wait(), PATIENCE)
    assert len(await markers_of(handle)) == 1


@workflow.defn
class UpdatedWorkflow:
    """Each update runs a local activity."""

    def __init__(self) -> None:
        self._done: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: len(self._done) >= 2)
        return self._done

    @workflow.update
    async def do(self, word: str) -> str:
        result: str = await start(LocalOrder("echo", [word]))
        self._done.append(result)
        return result


@activity.defn
async def echo(word: str) -> str:
    return f"echo {word}"


async def test_an_update_may_run_one(client: Client) -> None:
    async with new_worker(client, UpdatedWorkflow, activities=[echo]) as worker:
        handle = await client.start_workflow(
            UpdatedWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.execute_update(UpdatedWorkflow.do, "a") == "echo a"
        assert await handle.execute_update(UpdatedWorkflow.do, "b") == "echo b"
        assert await handle.result() == ["echo a", "echo b"]
    types = await event_types_of(handle)
    accepted = "WORKFLOW_EXECUTION_UPDATE_ACCEPTED"
    first = types.index(accepted)
    assert types[first + 1 : first + 3] == [
        "MARKER_RECORDED",
        "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
    ]


@workflow.defn
class SlowlyUpdatedWorkflow:
    """An update takes longer than its workflow task."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def linger(self) -> str:
        return str(await start(LocalOrder("linger", [1.2])))


@activity.defn
async def linger(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


async def test_an_update_may_take_longer_than_its_task(client: Client) -> None:
    async with new_worker(client, SlowlyUpdatedWorkflow, activities=[linger]) as worker:
        handle = await client.start_workflow(
            SlowlyUpdatedWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            task_timeout=A_SECOND,
        )
        assert await handle.execute_update(SlowlyUpdatedWorkflow.linger) == "done"
        (marker,) = await markers_of(handle)
        assert data_of(marker)["attempt"] == 1
        await handle.terminate()


@workflow.defn
class TwoRunsWorkflow:
    @workflow.run
    async def run(self, seen: list[str]) -> list[str]:
        seen = [*seen, await start(LocalOrder("echo", [str(len(seen))]))]
        if len(seen) < 3:
            workflow.continue_as_new(seen)
        return seen


async def test_numbers_begin_anew_with_each_run(client: Client) -> None:
    async with new_worker(client, TwoRunsWorkflow, activities=[echo]) as worker:
        handle: WorkflowHandle[Any, list[str]] = await client.start_workflow(
            TwoRunsWorkflow.run, [], id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.result() == ["echo 0", "echo 1", "echo 2"]
    last = client.get_workflow_handle(handle.id)
    (marker,) = await markers_of(last)
    assert data_of(marker)["seq"] == 1


class Noting(CustomSlotSupplier):
    """Gives every slot, and remembers for what."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.used: list[str] = []
        self.released = 0

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        if ctx.slot_type in self.asked:
            await asyncio.sleep(0.05)
        self.asked.add(ctx.slot_type)
        return SlotPermit()

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        return SlotPermit()

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        info = ctx.slot_info
        assert not isinstance(info, WorkflowSlotInfo)
        assert isinstance(info, ActivitySlotInfo)
        self.used.append(info.activity_type)

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        self.released += ctx.slot_info is not None


async def test_slots_come_from_a_supplier_of_their_own(client: Client) -> None:
    supplier, fixed = Noting(), FixedSizeSlotSupplier(10)
    tuner = WorkerTuner.create_composite(
        workflow_supplier=fixed,
        activity_supplier=fixed,
        local_activity_supplier=supplier,
        nexus_supplier=fixed,
    )
    async with new_worker(
        client, TwoRunsWorkflow, activities=[echo], tuner=tuner
    ) as worker:
        await client.execute_workflow(
            TwoRunsWorkflow.run, [], id=random_id(), task_queue=worker.task_queue
        )

        async def given_back() -> None:
            assert supplier.released == 3

        await eventually(given_back)
    assert supplier.asked == {"local-activity"}
    assert supplier.used == ["echo"] * 3
