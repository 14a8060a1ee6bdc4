"""Local activities among everything else that a workflow does, in any order.

Nothing is asserted of the order, for a random one has no name: the run has to end, none
of its workflow tasks may fail, and Temporal's replayer judges its history.
"""

import asyncio
import random
from datetime import timedelta

import pytest

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.common import RetryPolicy
from dbosify.exceptions import ApplicationError, FailureError
from tests.ported_temporal.scaffold import event_types_of, new_worker, random_id
from tests.waiting import PATIENCE

MILLISECOND = timedelta(milliseconds=1)
STEPS = 8


@activity.defn
async def work(milliseconds: int, failures: int) -> None:
    """Take so long, and fail so often."""
    await asyncio.sleep(milliseconds / 1000)
    if activity.info().attempt <= failures:
        raise ApplicationError("not yet")


@workflow.defn
class MixedWorkflow:
    """Takes steps that chance decides on."""

    def __init__(self) -> None:
        self._steps = 0

    @workflow.run
    async def run(self, seed: int) -> int:
        chance = random.Random(seed)
        for _ in range(STEPS):
            await self._step(chance, depth=0)
        return self._steps

    async def _step(self, chance: random.Random, *, depth: int) -> None:
        self._steps += 1
        names = ["local", "local", "cancelled", "remote", "sleep", "patch", "memo"]
        match chance.choice([*names, "several"] if depth < 2 else names):
            case "several":
                wide = [
                    self._step(chance, depth=depth + 1)
                    for _ in range(chance.randrange(1, 5))
                ]
                await asyncio.gather(*wide)
            case "local" | "cancelled" as how:
                await self._local(chance, cancel=how == "cancelled")
            case "remote":
                await workflow.execute_activity(
                    work,
                    args=[5, 0],
                    start_to_close_timeout=5000 * MILLISECOND,
                )
            case "sleep":
                await asyncio.sleep(chance.choice([0.001, 0.03]))
            case "patch":
                workflow.patched(f"patch {chance.randrange(4)}")
            case _:
                workflow.upsert_memo({"steps": self._steps})

    async def _local(self, chance: random.Random, *, cancel: bool) -> None:
        handle = workflow.start_local_activity(
            work,
            args=[chance.choice([0, 5, 60]), chance.choice([0, 0, 1, 2, 9])],
            start_to_close_timeout=chance.choice([30, 1000]) * MILLISECOND,
            local_retry_threshold=20 * MILLISECOND,
            retry_policy=RetryPolicy(
                initial_interval=chance.choice([5, 30]) * MILLISECOND,
                maximum_attempts=4,
            ),
            cancellation_type=workflow.ActivityCancellationType(chance.randrange(3)),
        )
        pause = chance.choice([0, 0.005, 0.03])
        try:
            if cancel:
                await asyncio.sleep(pause)
                handle.cancel()
            await handle
        except (FailureError, asyncio.CancelledError):
            pass


@pytest.mark.parametrize("cached", [0, 1000])
@pytest.mark.parametrize("seed", [1, 2])
async def test_any_mixture_ends_and_can_be_replayed(
    client: Client, seed: int, cached: int
) -> None:
    async with new_worker(
        client,
        MixedWorkflow,
        activities=[work],
        max_cached_workflows=cached,
        max_concurrent_local_activities=3,
    ) as worker:
        handle = await client.start_workflow(
            MixedWorkflow.run,
            seed,
            id=random_id(),
            task_queue=worker.task_queue,
            task_timeout=1000 * MILLISECOND,
        )
        assert await asyncio.wait_for(handle.result(), 2 * PATIENCE) >= STEPS
    assert "WORKFLOW_TASK_FAILED" not in await event_types_of(handle)
