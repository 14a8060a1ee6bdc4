"""Programs that wait for hours or days do so in a moment, on a clock that leaps."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from dbosify import activity
from dbosify.client import Client
from dbosify.testing import WorkflowEnvironment
from dbosify.worker import Worker
from tests.samples_ported.sleep_for_days import SleepForDaysWorkflow
from tests.samples_ported.updatable_timer import TimerWorkflow

needs_leaps = pytest.mark.needs("time skipping")
only_here = pytest.mark.only_against(
    "dbosify", "Temporal's skipping server is a download, for some machines only"
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def env() -> AsyncIterator[WorkflowEnvironment]:
    """An environment with a clock of its own."""
    async with await WorkflowEnvironment.start_time_skipping() as environment:
        yield environment


@needs_leaps
@only_here
async def test_sleep_for_days(env: WorkflowEnvironment) -> None:
    sent = 0

    @activity.defn(name="send_email")
    async def count(text: str) -> None:
        nonlocal sent
        sent += 1

    before = await env.get_current_time()
    async with Worker(
        env.client,
        task_queue="sleep-for-days",
        workflows=[SleepForDaysWorkflow],
        activities=[count],
    ):
        handle = await env.client.start_workflow(
            SleepForDaysWorkflow.run,
            id="sleep-for-days",
            task_queue="sleep-for-days",
        )
        await env.sleep(timedelta(minutes=5))
        assert sent == 1
        await env.sleep(timedelta(days=90))
        assert sent == 4
        await handle.signal(SleepForDaysWorkflow.complete)
        await handle.result()
    assert sent == 4
    assert await env.get_current_time() - before > timedelta(days=90)


@needs_leaps
@only_here
async def test_updatable_timer(env: WorkflowEnvironment) -> None:
    now = (await env.get_current_time()).timestamp()
    async with Worker(
        env.client, task_queue="updatable-timer", workflows=[TimerWorkflow]
    ):
        handle = await env.client.start_workflow(
            TimerWorkflow.run,
            now + 24 * 3600,
            id="updatable-timer",
            task_queue="updatable-timer",
        )
        assert await handle.query(TimerWorkflow.wake_up_time) == now + 24 * 3600
        await handle.signal(TimerWorkflow.set_wake_up_time, now + 3600)
        assert await handle.query(TimerWorkflow.wake_up_time) == now + 3600
        await handle.result()


async def test_a_timer_that_is_set_to_now_is_over(client: Client) -> None:
    async with Worker(
        client, task_queue="updatable-timer-now", workflows=[TimerWorkflow]
    ):
        handle = await client.start_workflow(
            TimerWorkflow.run,
            4e9,
            id="updatable-timer-now",
            task_queue="updatable-timer-now",
        )
        assert await handle.query(TimerWorkflow.wake_up_time) == 4e9
        await handle.signal(TimerWorkflow.set_wake_up_time, 1.0)
        await handle.result()
