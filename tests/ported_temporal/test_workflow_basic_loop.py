"""Workflow code is ordinary asyncio code, and stays so when it is replayed.

Most workers here have no cache: every task replays the run from its beginning, so
that an order which isn't deterministic fails the run.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from temporalio.worker._workflow_instance import _WorkflowLogicFlag

from dbosify import activity, workflow
from dbosify.api.enums.v1 import EventType
from dbosify.client import Client
from dbosify.common import RawValue
from dbosify.worker import Replayer
from tests.ported_temporal.scaffold import (
    assert_event_subsequence,
    events_of,
    new_worker,
    random_id,
    sandboxed_runner,
)

TEN_SECONDS = timedelta(seconds=10)
SINGLE_BATCH = _WorkflowLogicFlag.PROCESS_WORKFLOW_ACTIVATION_JOBS_AS_SINGLE_BATCH


@activity.defn(dynamic=True)
async def say_own_type(_args: Sequence[RawValue]) -> str:
    return activity.info().activity_type


@workflow.defn
class AsCompletedWorkflow:
    @workflow.run
    async def run(self) -> list[str]:
        started = [
            workflow.start_activity(f"activity-{i}", start_to_close_timeout=TEN_SECONDS)
            for i in range(10)
        ]
        return [await done for done in workflow.as_completed(started)]


async def test_workflow_as_completed_utility(client: Client) -> None:
    async with new_worker(
        client,
        AsCompletedWorkflow,
        activities=[say_own_type],
        max_cached_workflows=0,
    ) as worker:
        results = await client.execute_workflow(
            AsCompletedWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            # A run that can't be replayed shows within this time.
            execution_timeout=timedelta(seconds=30),
        )
    assert sorted(results) == [f"activity-{i}" for i in range(10)]


@workflow.defn
class WaitWorkflow:
    """Lets the order of finished tasks decide what it does next."""

    @workflow.run
    async def run(self) -> list[str]:
        tasks = [asyncio.create_task(self._name(i)) for i in range(10)]
        done, pending = await workflow.wait(tasks)
        assert not pending
        return [
            await workflow.execute_activity(
                task.result(), start_to_close_timeout=TEN_SECONDS
            )
            for task in done
        ]

    async def _name(self, index: int) -> str:
        await asyncio.sleep(0)
        return f"activity-{index}"


async def test_workflow_wait_utility(client: Client) -> None:
    async with new_worker(
        client, WaitWorkflow, activities=[say_own_type], max_cached_workflows=0
    ) as worker:
        results = await client.execute_workflow(
            WaitWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            execution_timeout=timedelta(seconds=30),
        )
    assert results == [f"activity-{i}" for i in range(10)]


@activity.defn
async def do_nothing() -> None:
    pass


@dataclass(frozen=True)
class Crowd:
    """What kept five coroutines apart, and whether they lost patience."""

    places: int | None
    """How many a semaphore lets in; None stands for a lock."""
    impatient: bool


@dataclass
class Attendance:
    """How many got in."""

    ever: int = 0
    peak: int = 0
    inside: int = 0


@workflow.defn
class CoordinationWorkflow:
    def __init__(self) -> None:
        self._attendance = Attendance()

    @workflow.run
    async def run(self, crowd: Crowd) -> Attendance:
        gate: asyncio.Lock | asyncio.Semaphore = (
            asyncio.Lock() if crowd.places is None else asyncio.Semaphore(crowd.places)
        )
        visit = self._visit_impatiently if crowd.impatient else self._visit
        await asyncio.gather(*[visit(gate) for _ in range(5)])
        return self._attendance

    async def _visit(self, gate: asyncio.Lock | asyncio.Semaphore) -> None:
        async with gate:
            self._enter()
            await workflow.execute_activity(
                do_nothing, schedule_to_close_timeout=timedelta(seconds=30)
            )
            self._leave()

    async def _visit_impatiently(self, gate: asyncio.Lock | asyncio.Semaphore) -> None:
        try:
            await asyncio.wait_for(gate.acquire(), 0.1)
        except asyncio.TimeoutError:
            return
        self._enter()
        await asyncio.sleep(0.5)
        self._leave()
        gate.release()

    def _enter(self) -> None:
        self._attendance.ever += 1
        self._attendance.inside += 1
        self._attendance.peak = max(self._attendance.peak, self._attendance.inside)

    def _leave(self) -> None:
        self._attendance.inside -= 1


async def attendance_of(client: Client, crowd: Crowd) -> Attendance:
    """Let the five come."""
    async with new_worker(
        client, CoordinationWorkflow, activities=[do_nothing]
    ) as worker:
        return await client.execute_workflow(
            CoordinationWorkflow.run,
            crowd,
            id=random_id(),
            task_queue=worker.task_queue,
        )


async def test_workflow_coroutines_can_use_lock(client: Client) -> None:
    attendance = await attendance_of(client, Crowd(places=None, impatient=False))
    assert attendance == Attendance(ever=5, peak=1, inside=0)


async def test_workflow_coroutines_lock_acquisition_respects_timeout(
    client: Client,
) -> None:
    attendance = await attendance_of(client, Crowd(places=None, impatient=True))
    assert attendance == Attendance(ever=1, peak=1, inside=0)


async def test_workflow_coroutines_can_use_semaphore(client: Client) -> None:
    attendance = await attendance_of(client, Crowd(places=3, impatient=False))
    assert attendance == Attendance(ever=5, peak=3, inside=0)


async def test_workflow_coroutine_semaphore_acquisition_respects_timeout(
    client: Client,
) -> None:
    attendance = await attendance_of(client, Crowd(places=3, impatient=True))
    assert attendance == Attendance(ever=3, peak=3, inside=0)


@workflow.defn
class ReplayedWorkflow:
    """Tells at its end whether its beginning was replayed."""

    def __init__(self) -> None:
        self._may_finish = False

    @workflow.run
    async def run(self) -> bool:
        began_in_replay = workflow.unsafe.is_replaying()
        await workflow.wait_condition(lambda: self._may_finish)
        return began_in_replay

    @workflow.signal
    def finish(self) -> None:
        self._may_finish = True


async def test_workflow_logic_flag_enabled_after_replay(client: Client) -> None:
    task_queue = random_id("queue")
    async with new_worker(
        client, ReplayedWorkflow, task_queue=task_queue, max_cached_workflows=0
    ):
        handle = await client.start_workflow(
            ReplayedWorkflow.run, id=random_id(), task_queue=task_queue
        )
        await assert_event_subsequence(
            handle, [EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
        )
    await handle.signal(ReplayedWorkflow.finish)
    worker = new_worker(
        client, ReplayedWorkflow, task_queue=task_queue, max_cached_workflows=0
    )
    worker._set_default_workflow_logic_flag(SINGLE_BATCH, enabled=True)
    async with worker:
        assert await handle.result() is True

    flags_used = [
        list(
            event.workflow_task_completed_event_attributes.sdk_metadata.lang_used_flags
        )
        for event in await events_of(handle)
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    assert SINGLE_BATCH not in flags_used[0]
    assert any(SINGLE_BATCH in flags for flags in flags_used[1:])
    await Replayer(
        workflows=[ReplayedWorkflow], workflow_runner=sandboxed_runner()
    ).replay_workflow(await handle.fetch_history())


@workflow.defn
class BusyLoopWorkflow:
    """Notes the order in which its coroutines and handlers got their turns."""

    def __init__(self) -> None:
        self._turns: list[str] = []
        self._signals = 0
        self._updated = False

    @workflow.run
    async def run(self) -> list[str]:
        timer = asyncio.create_task(self._wait_for_timer())
        activity_task = asyncio.create_task(self._wait_for_activity())
        await workflow.wait_condition(lambda: self._signals == 2 and self._updated)
        await asyncio.gather(timer, activity_task)
        return self._turns

    async def _wait_for_timer(self) -> None:
        await asyncio.sleep(0.1)
        self._turns.append("timer")

    async def _wait_for_activity(self) -> None:
        await workflow.execute_activity(do_nothing, start_to_close_timeout=TEN_SECONDS)
        self._turns.append("activity")

    @workflow.signal
    async def on_signal(self, name: str) -> None:
        self._turns.append(name)
        await asyncio.sleep(0)
        self._turns.append(f"{name} again")
        self._signals += 1

    @workflow.update
    async def on_update(self, name: str) -> str:
        self._turns.append(name)
        await asyncio.sleep(0)
        await workflow.wait_condition(lambda: self._signals == 2)
        self._turns.append(f"{name} again")
        self._updated = True
        return name


@pytest.mark.needs("updates")
async def test_async_loop_ordering(client: Client) -> None:
    task_queue = random_id("queue")
    handle = await client.start_workflow(
        BusyLoopWorkflow.run, id=random_id(), task_queue=task_queue
    )
    await handle.signal(BusyLoopWorkflow.on_signal, "before")
    worker = new_worker(
        client,
        BusyLoopWorkflow,
        activities=[do_nothing],
        task_queue=task_queue,
        max_cached_workflows=0,
    )
    worker._set_default_workflow_logic_flag(SINGLE_BATCH, enabled=True)
    async with worker:
        await assert_event_subsequence(handle, [EventType.EVENT_TYPE_TIMER_STARTED])
        await handle.signal(BusyLoopWorkflow.on_signal, "signal")
        updated = await handle.execute_update(BusyLoopWorkflow.on_update, "update")
        turns = await handle.result()

    assert updated == "update"
    assert turns[:2] == ["before", "before again"]
    for name in ("signal", "update"):
        assert turns.index(name) < turns.index(f"{name} again")
    assert sorted(turns) == sorted(
        [
            *("timer", "activity"),
            *(name + again for name in SENT for again in ("", " again")),
        ]
    )


SENT = ("before", "signal", "update")


class Checkpoint:
    """An activity that the test can watch from outside of the backend."""

    def __init__(self) -> None:
        self.passed = asyncio.Event()

    @activity.defn
    async def go_through(self) -> None:
        self.passed.set()


@workflow.defn
class RemoteActivityWorkflow:
    """Races an activity on another queue against signals."""

    def __init__(self) -> None:
        self._turns: list[str] = []

    @workflow.run
    async def run(self, activity_queue: str) -> list[str]:
        await workflow.execute_activity_method(
            Checkpoint.go_through,
            task_queue=activity_queue,
            start_to_close_timeout=TEN_SECONDS,
        )
        self._turns.append("activity")
        await workflow.wait_condition(lambda: len(self._turns) == 5)
        return self._turns

    @workflow.signal
    async def on_signal(self, name: str) -> None:
        self._turns.append(name)
        await asyncio.sleep(0)
        self._turns.append(f"{name} again")


async def test_alternate_async_loop_ordering(client: Client) -> None:
    task_queue, activity_queue = random_id("queue"), random_id("activity-queue")

    def workflow_worker() -> Any:
        return new_worker(
            client,
            RemoteActivityWorkflow,
            task_queue=task_queue,
            max_cached_workflows=0,
        )

    async with workflow_worker():
        handle = await client.start_workflow(
            RemoteActivityWorkflow.run,
            activity_queue,
            id=random_id(),
            task_queue=task_queue,
        )
        await assert_event_subsequence(
            handle, [EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED]
        )
    checkpoint = Checkpoint()
    async with new_worker(
        client, activities=[checkpoint.go_through], task_queue=activity_queue
    ):
        await checkpoint.passed.wait()
    # A worker that has ended has reported what it ran.
    await handle.signal(RemoteActivityWorkflow.on_signal, "first")
    await handle.signal(RemoteActivityWorkflow.on_signal, "second")
    async with workflow_worker():
        turns = await handle.result()
    # All three reach the workflow in one activation, and there signals come first.
    assert turns == ["first", "second", "first again", "second again", "activity"]
