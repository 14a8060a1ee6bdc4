"""A test environment whose clock leaps over whatever nobody works through."""

import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone

import pytest
import pytest_asyncio

from dbosify import activity, exceptions, workflow
from dbosify.client import WorkflowFailureError
from dbosify.common import RetryPolicy
from dbosify.exceptions import ActivityError, TimeoutType
from dbosify.testing import WorkflowEnvironment
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    new_worker,
    random_id,
)

pytestmark = [
    pytest.mark.needs("time skipping"),
    pytest.mark.only_against(
        "dbosify", "Temporal's skipping server is a download, for some machines only"
    ),
]

TOLERANCE = timedelta(seconds=30)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """An environment with a clock of its own."""
    async with await WorkflowEnvironment.start_time_skipping() as env:
        yield env


def near(moment: datetime, expected: datetime) -> bool:
    """Whether two moments are the same as far as a test can tell."""
    return abs(moment - expected) < TOLERANCE


@workflow.defn
class SleepWorkflow:
    @workflow.run
    async def run(self, seconds: float) -> str:
        await workflow.sleep(seconds)
        return "all done"


async def test_workflow_env_time_skipping_basic(skipping: WorkflowEnvironment) -> None:
    before = await skipping.get_current_time()
    async with new_worker(skipping.client, SleepWorkflow) as worker:
        result = await skipping.client.execute_workflow(
            SleepWorkflow.run, 100_000, id=random_id(), task_queue=worker.task_queue
        )
    assert result == "all done"
    after = await skipping.get_current_time()
    assert near(after, before + timedelta(seconds=100_000))


@workflow.defn
class ClockWorkflow:
    """Tells the time of its last task."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def tick(self) -> None:
        """Make a task."""

    @workflow.query
    def now(self) -> float:
        return workflow.now().timestamp()


async def test_workflow_env_time_skipping_manual(skipping: WorkflowEnvironment) -> None:
    async with new_worker(skipping.client, ClockWorkflow) as worker:
        handle = await skipping.client.start_workflow(
            ClockWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )

        async def workflow_time() -> datetime:
            await handle.signal(ClockWorkflow.tick)
            moment = await handle.query(ClockWorkflow.now)
            return datetime.fromtimestamp(moment, tz=timezone.utc)

        before = await skipping.get_current_time()
        assert near(await workflow_time(), before)
        await skipping.sleep(1000)

        async def leapt() -> bool:
            return near(await workflow_time(), before + timedelta(seconds=1000))

        await assert_eq_eventually(True, leapt)
        await handle.terminate("seen enough")


@workflow.defn
class SilentActivityWorkflow:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            "stay_silent",
            start_to_close_timeout=timedelta(seconds=1000),
            heartbeat_timeout=timedelta(seconds=20),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


async def test_workflow_env_time_skipping_heartbeat_timeout(
    skipping: WorkflowEnvironment,
) -> None:
    @activity.defn
    async def stay_silent() -> None:
        await skipping.sleep(40)

    async with new_worker(
        skipping.client, SilentActivityWorkflow, activities=[stay_silent]
    ) as worker:
        with pytest.raises(WorkflowFailureError) as failed:
            await skipping.client.execute_workflow(
                SilentActivityWorkflow.run,
                id=random_id(),
                task_queue=worker.task_queue,
            )
    assert isinstance(failed.value.cause, ActivityError)
    assert isinstance(failed.value.cause.cause, exceptions.TimeoutError)
    assert failed.value.cause.cause.type == TimeoutType.HEARTBEAT


async def test_workflow_env_time_skipping_disabled(
    skipping: WorkflowEnvironment,
) -> None:
    async with new_worker(skipping.client, SleepWorkflow) as worker:

        async def took() -> float:
            began = time.monotonic()
            result = await skipping.client.execute_workflow(
                SleepWorkflow.run, 3, id=random_id(), task_queue=worker.task_queue
            )
            assert result == "all done"
            return time.monotonic() - began

        assert await took() < 2.5
        with skipping.auto_time_skipping_disabled():
            assert await took() > 2.5
