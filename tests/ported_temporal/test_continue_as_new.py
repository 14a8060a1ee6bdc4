"""A run that goes on as another run, and how it knows that it should."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

import pytest

from dbosify import workflow
from dbosify.api.enums.v1 import EventType
from dbosify.client import Client, WorkflowContinuedAsNewError
from dbosify.common import RetryPolicy
from dbosify.worker import Worker
from tests.fix_backend import SUGGEST_CONTINUE_AS_NEW_AT
from tests.ported_temporal.kitchen_sink import Action, ContinueAsNew, Result, Script
from tests.ported_temporal.scaffold import (
    assert_eventually,
    event_types_of,
    events_of,
    new_worker,
    random_id,
)


@dataclass(frozen=True)
class HistoryInfo:
    """What a run knows of its own history."""

    length: int
    size: int
    continue_as_new_suggested: bool


@workflow.defn
class HistoryInfoWorkflow:
    """Makes its history longer by one timer for every number it is sent."""

    def __init__(self) -> None:
        self._sleeps: list[asyncio.Task[None]] = []

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def start_timers(self, count: int) -> None:
        self._sleeps += [
            asyncio.create_task(workflow.sleep(timedelta(days=1))) for _ in range(count)
        ]

    @workflow.query
    def history_info(self) -> HistoryInfo:
        info = workflow.info()
        return HistoryInfo(
            length=info.get_current_history_length(),
            size=info.get_current_history_size(),
            continue_as_new_suggested=info.is_continue_as_new_suggested(),
        )


@pytest.mark.needs("suggested continue-as-new limit")
async def test_workflow_history_info(client: Client) -> None:
    limit = SUGGEST_CONTINUE_AS_NEW_AT
    async with new_worker(client, HistoryInfoWorkflow) as worker:
        handle = await client.start_workflow(
            HistoryInfoWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        before = await handle.query(HistoryInfoWorkflow.history_info)
        assert before.length == 3
        assert before.size > 100
        assert not before.continue_as_new_suggested

        await handle.signal(HistoryInfoWorkflow.start_timers, limit)

        async def timers_started() -> None:
            types = await event_types_of(handle)
            assert types.count("TIMER_STARTED") == limit

        await assert_eventually(timers_started)
        # What a run knows is as old as its latest task, so it needs another one.
        await handle.signal(HistoryInfoWorkflow.start_timers, 1)

        async def suggested() -> None:
            after = await handle.query(HistoryInfoWorkflow.history_info)
            assert after.length > limit
            assert after.size > before.size
            assert after.continue_as_new_suggested

        await assert_eventually(suggested)
        await handle.terminate()


async def test_workflow_history_length_and_size_grow(client: Client) -> None:
    async with new_worker(client, HistoryInfoWorkflow) as worker:
        handle = await client.start_workflow(
            HistoryInfoWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        before = await handle.query(HistoryInfoWorkflow.history_info)
        assert before.length == 3
        assert before.size > 100
        assert not before.continue_as_new_suggested
        await handle.signal(HistoryInfoWorkflow.start_timers, 1)

        async def grown() -> None:
            after = await handle.query(HistoryInfoWorkflow.history_info)
            # Completed task, signal, scheduled and started task.
            assert after.length == before.length + 4
            assert after.size > before.size
            assert not after.continue_as_new_suggested

        await assert_eventually(grown)
        await handle.terminate()


@workflow.defn
class ContinueAsNewWorkflow:
    """Goes on until it has seen five runs, and checks what each one inherited."""

    @workflow.run
    async def run(self, past_run_ids: Sequence[str]) -> list[str]:
        seen = len(past_run_ids)
        info = workflow.info()
        assert workflow.memo_value("past_run_id_count") == seen
        assert info.retry_policy is not None
        assert info.retry_policy.maximum_attempts == 1000 + seen
        if seen < 5:
            self._go_on(past_run_ids, info)
        return list(past_run_ids)

    def _go_on(self, past_run_ids: Sequence[str], info: workflow.Info) -> NoReturn:
        run_ids = [*past_run_ids, info.run_id]
        if past_run_ids:
            assert info.continued_run_id == past_run_ids[-1]
        assert info.first_execution_run_id == run_ids[0]
        workflow.continue_as_new(
            run_ids,
            memo={"past_run_id_count": len(run_ids)},
            retry_policy=RetryPolicy(maximum_attempts=1000 + len(run_ids)),
            backoff_start_interval=timedelta(milliseconds=1),
        )


async def test_workflow_continue_as_new(client: Client) -> None:
    async with new_worker(client, ContinueAsNewWorkflow) as worker:
        handle = await client.start_workflow(
            ContinueAsNewWorkflow.run,
            [],
            id=random_id(),
            task_queue=worker.task_queue,
            memo={"past_run_id_count": 0},
            retry_policy=RetryPolicy(maximum_attempts=1000),
        )
        run_ids = await handle.result()
    assert len(set(run_ids)) == 5
    assert run_ids[0] == handle.first_execution_run_id
    first_run = client.get_workflow_handle(handle.id, run_id=run_ids[0])
    continued = (await events_of(first_run))[-1]
    kind = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
    assert continued.event_type == kind
    attributes = continued.workflow_execution_continued_as_new_event_attributes
    assert attributes.new_execution_run_id == run_ids[1]
    backoff = attributes.backoff_start_interval.ToTimedelta()
    assert backoff == timedelta(milliseconds=1)


async def test_result_follow_continue_as_new(client: Client, worker: Worker) -> None:
    handle = await client.start_workflow(
        "kitchen_sink",
        Script(
            [
                Action(continue_as_new=ContinueAsNew(1)),
                Action(result=Result(run_id=True)),
            ]
        ),
        id=random_id(),
        task_queue=worker.task_queue,
    )
    final_run_id = await handle.result()
    assert final_run_id != handle.result_run_id
    with pytest.raises(WorkflowContinuedAsNewError) as continued:
        await handle.result(follow_runs=False)
    assert continued.value.new_execution_run_id == final_run_id


@workflow.defn
class PokedWorkflow:
    """Goes on in another run each time it is poked."""

    @workflow.init
    def __init__(self, pokes: int, enough: int) -> None:
        self.pokes = pokes

    @workflow.run
    async def run(self, pokes: int, enough: int) -> int:
        await workflow.wait_condition(lambda: self.pokes > pokes)
        if self.pokes < enough:
            workflow.continue_as_new(args=[self.pokes, enough])
        return self.pokes

    @workflow.signal
    def poke(self) -> None:
        self.pokes += 1


async def test_signals_by_id_reach_whichever_run_goes_on(client: Client) -> None:
    enough = 40
    async with new_worker(client, PokedWorkflow) as worker:
        handle = await client.start_workflow(
            PokedWorkflow.run,
            args=[0, enough],
            id=random_id(),
            task_queue=worker.task_queue,
        )
        # Not the first run's: that one closes with the first of them.
        whichever = client.get_workflow_handle(handle.id)
        await whichever.signal(PokedWorkflow.poke)
        with pytest.raises(WorkflowContinuedAsNewError):
            await handle.result(follow_runs=False)
        for poke in range(enough - 1):
            await whichever.signal(PokedWorkflow.poke)
            # More and more time to close in, so that some meet a run that does.
            await asyncio.sleep(poke / 4000)
        assert await handle.result() == enough
