"""Schedules over days and weeks, on a clock that skips them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from dbosify import workflow
from dbosify.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
)
from dbosify.service import RPCError, RPCStatusCode
from dbosify.testing import WorkflowEnvironment
from dbosify.worker import Worker
from tests.fix_oracle import Knows
from tests.ported_temporal.scaffold import random_id

DAY = timedelta(days=1)
QUEUE = "skipped"


@workflow.defn
class Naps:
    """Sleeps for so many days."""

    @workflow.run
    async def run(self, days: int) -> None:
        """Sleep."""
        await workflow.sleep(DAY * days)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def env() -> AsyncIterator[WorkflowEnvironment]:
    """An environment of this module's own."""
    async with await WorkflowEnvironment.start_time_skipping() as env:
        yield env


@pytest_asyncio.fixture(loop_scope="session")
async def worker(
    env: WorkflowEnvironment, oracle_knows: Knows
) -> AsyncIterator[Worker]:
    """A worker of the environment."""
    oracle_knows(Naps)
    async with Worker(env.client, task_queue=QUEUE, workflows=[Naps]) as worker:
        yield worker


async def daily(
    env: WorkflowEnvironment,
    *,
    days: int,
    overlap: ScheduleOverlapPolicy,
    limit: int | None = None,
) -> ScheduleHandle:
    """A schedule that fires each day and starts a nap of so many."""
    return await env.client.create_schedule(
        random_id("schedule"),
        Schedule(
            ScheduleActionStartWorkflow(
                Naps.run, days, id=random_id(), task_queue=QUEUE
            ),
            ScheduleSpec(intervals=[ScheduleIntervalSpec(every=DAY)]),
            SchedulePolicy(overlap=overlap),
            ScheduleState(
                limited_actions=limit is not None, remaining_actions=limit or 0
            ),
        ),
    )


async def test_a_daily_schedule_fires_each_day(
    env: WorkflowEnvironment, worker: Worker
) -> None:
    handle = await daily(env, days=0, overlap=ScheduleOverlapPolicy.SKIP)
    await env.sleep(4 * DAY)
    info = (await handle.describe()).info
    assert info.num_actions == 4
    assert info.num_actions_skipped_overlap == 0
    for action in info.recent_actions:
        assert action.started_at - action.scheduled_at < timedelta(minutes=1)
    await handle.delete()


async def test_naps_of_three_days_are_taken_one_after_the_other(
    env: WorkflowEnvironment, worker: Worker
) -> None:
    handle = await daily(env, days=3, overlap=ScheduleOverlapPolicy.BUFFER_ALL, limit=3)
    await env.sleep(5 * DAY)
    assert (await handle.describe()).info.num_actions == 2
    await env.sleep(3 * DAY)
    info = (await handle.describe()).info
    assert info.num_actions == 3
    first, second, third = (action.started_at for action in info.recent_actions)
    assert second - first >= 3 * DAY
    assert third - second >= 3 * DAY
    await handle.delete()


async def test_an_idle_schedule_is_forgotten_after_a_week(
    env: WorkflowEnvironment, worker: Worker
) -> None:
    handle = await daily(env, days=0, overlap=ScheduleOverlapPolicy.SKIP, limit=1)
    await env.sleep(6 * DAY)
    assert (await handle.describe()).info.num_actions == 1
    await env.sleep(4 * DAY)
    with pytest.raises(RPCError) as refused:
        await handle.describe()
    assert refused.value.status is RPCStatusCode.NOT_FOUND
