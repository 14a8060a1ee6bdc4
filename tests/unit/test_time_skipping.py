"""What happens on the way when time is skipped, and that nothing breaks by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from google.protobuf.empty_pb2 import Empty

from dbosify import activity, workflow
from dbosify.api.testservice.v1 import (
    LockTimeSkippingRequest,
    SleepRequest,
    UnlockTimeSkippingRequest,
)
from dbosify.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from dbosify.common import RetryPolicy
from dbosify.exceptions import TimeoutError as TemporalTimeoutError
from dbosify.service import RPCError, RPCStatusCode
from dbosify.testing import WorkflowEnvironment
from dbosify.worker import Worker
from tests.fix_oracle import Knows
from tests.ported_temporal.scaffold import random_id

QUEUE = "skipped"
DAY = timedelta(days=1)


@activity.defn
async def third_time_lucky() -> int:
    """Fail twice, then tell the attempt."""
    attempt = activity.info().attempt
    if attempt < 3:
        raise RuntimeError("not yet")
    return attempt


class Gate:
    """An activity that ends when the test says so."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.open = asyncio.Event()

    @activity.defn
    async def wait_at_gate(self) -> str:
        """Wait."""
        self.begun.set()
        await self.open.wait()
        return "through"


@workflow.defn
class Retries:
    """An activity with long pauses between its attempts."""

    @workflow.run
    async def run(self) -> int:
        """Run it."""
        return await workflow.execute_activity(
            third_time_lucky,
            start_to_close_timeout=timedelta(minutes=1),
            retry_policy=RetryPolicy(initial_interval=DAY, backoff_coefficient=1),
        )


@workflow.defn
class Waits:
    """Waits for its time to be over."""

    @workflow.run
    async def run(self) -> None:
        """Wait."""
        await workflow.wait_condition(lambda: False)


@workflow.defn
class Sleeps:
    """Sleeps for a day, or has a child do so that is given two days."""

    @workflow.run
    async def run(self, generations: int) -> str:
        """Sleep."""
        if not generations:
            await workflow.sleep(DAY)
            return "slept"
        return await workflow.execute_child_workflow(
            Sleeps.run, generations - 1, execution_timeout=2 * DAY
        )


@workflow.defn
class AtTheGate:
    """Waits for an activity, and no longer than a timer."""

    @workflow.run
    async def run(self) -> str:
        """Wait."""
        return await workflow.execute_activity_method(
            Gate.wait_at_gate, start_to_close_timeout=30 * DAY
        )


@workflow.defn
class GateThenDay:
    """Waits for a local activity, then for a day."""

    @workflow.run
    async def run(self) -> str:
        """Wait."""
        result = await workflow.execute_local_activity_method(
            Gate.wait_at_gate, start_to_close_timeout=30 * DAY
        )
        await workflow.sleep(DAY)
        return result


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def env() -> AsyncIterator[WorkflowEnvironment]:
    """An environment of this module's own."""
    async with await WorkflowEnvironment.start_time_skipping() as env:
        yield env


@pytest.fixture
def gate(oracle_knows: Knows) -> Gate:
    """A fresh gate."""
    oracle_knows(Retries, Waits, AtTheGate, GateThenDay)
    return Gate()


@pytest_asyncio.fixture(loop_scope="session")
async def worker(env: WorkflowEnvironment, gate: Gate) -> AsyncIterator[Worker]:
    """A worker of the environment."""
    async with Worker(
        env.client,
        task_queue=QUEUE,
        workflows=[Retries, Waits, Sleeps, AtTheGate, GateThenDay],
        activities=[third_time_lucky, gate.wait_at_gate],
    ) as worker:
        yield worker


async def test_pauses_between_attempts_are_skipped(
    env: WorkflowEnvironment, worker: Worker
) -> None:
    before = await env.get_current_time()
    result = await env.client.execute_workflow(
        Retries.run, id=random_id(), task_queue=QUEUE
    )
    assert result == 3
    assert 2 * DAY <= await env.get_current_time() - before < 3 * DAY


async def test_a_run_timeout_is_skipped_to(
    env: WorkflowEnvironment, worker: Worker
) -> None:
    with pytest.raises(WorkflowFailureError) as failed:
        await env.client.execute_workflow(
            Waits.run, id=random_id(), task_queue=QUEUE, run_timeout=7 * DAY
        )
    assert isinstance(failed.value.cause, TemporalTimeoutError)


async def test_time_stands_while_workflows_have_to_be_told_of_each_other(
    env: WorkflowEnvironment, worker: Worker
) -> None:
    before = await env.get_current_time()
    result = await env.client.execute_workflow(
        Sleeps.run, 3, id=random_id(), task_queue=QUEUE, execution_timeout=2 * DAY
    )
    assert result == "slept"
    assert DAY <= await env.get_current_time() - before < 2 * DAY


async def test_time_stands_while_an_activity_runs_and_goes_on_when_told_to(
    env: WorkflowEnvironment, worker: Worker, gate: Gate
) -> None:
    before = await env.get_current_time()
    handle = await env.client.start_workflow(
        AtTheGate.run, id=random_id(), task_queue=QUEUE
    )
    result = asyncio.create_task(handle.result())
    await gate.begun.wait()
    await env.sleep(5 * DAY)
    after = await env.get_current_time()
    assert 5 * DAY <= after - before < 6 * DAY
    # Its worker is alive although its lease, by the clock of the test, is long over.
    gate.open.set()
    assert await result == "through"


async def test_time_stands_while_a_local_activity_runs(
    env: WorkflowEnvironment, worker: Worker, gate: Gate
) -> None:
    before = await env.get_current_time()
    handle = await env.client.start_workflow(
        GateThenDay.run, id=random_id(), task_queue=QUEUE, run_timeout=7 * DAY
    )
    result = asyncio.create_task(handle.result())
    await gate.begun.wait()
    for _ in range(20):
        assert await env.get_current_time() - before < DAY
    gate.open.set()
    assert await result == "through"
    assert DAY <= await env.get_current_time() - before < 2 * DAY


async def test_time_is_skipped_once_it_is_unlocked_as_often_as_locked(
    env: WorkflowEnvironment, worker: Worker
) -> None:
    service = env.client.test_service
    await service.lock_time_skipping(LockTimeSkippingRequest())
    locked = await env.get_current_time()
    handle = await env.client.start_workflow(
        Waits.run, id=random_id(), task_queue=QUEUE, run_timeout=DAY
    )
    result = asyncio.create_task(handle.result())
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    assert not result.done()
    await service.unlock_time_skipping(UnlockTimeSkippingRequest())
    with pytest.raises(WorkflowFailureError):
        await result
    assert await env.get_current_time() - locked >= DAY


async def test_a_sleep_on_the_clock_of_the_test_skips_nothing_itself(
    env: WorkflowEnvironment,
) -> None:
    request = SleepRequest()
    request.duration.FromTimedelta(2 * DAY)
    asleep = asyncio.create_task(env.client.test_service.sleep(request))
    await env.sleep(DAY)
    assert not asleep.done()
    await env.sleep(DAY)
    await asleep


async def test_another_database_has_no_such_clock(client: Client) -> None:
    with pytest.raises(RPCError) as refused:
        await client.test_service.get_current_time(Empty())
    assert refused.value.status is RPCStatusCode.UNIMPLEMENTED
