"""Children that are chains: tried again, or run again and again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dbosify import workflow
from dbosify.client import Client, WorkflowFailureError
from dbosify.common import RetryPolicy
from dbosify.exceptions import ApplicationError, ChildWorkflowError, TerminatedError
from dbosify.service import RPCError
from tests.ported_temporal.scaffold import (
    assert_eventually,
    event_types_of,
    new_worker,
    random_id,
)

pytestmark = pytest.mark.needs("child workflows")

SOON = timedelta(milliseconds=50)


@workflow.defn
class ThirdTimeLucky:
    """Fails twice."""

    @workflow.run
    async def run(self, attempts: int) -> str:
        """Fail until the last of the attempts."""
        attempt = workflow.info().attempt
        if attempt < attempts:
            raise ApplicationError(f"attempt {attempt}")
        return f"attempt {attempt}"


@workflow.defn
class Ticks:
    """Does nothing, on a schedule."""

    @workflow.run
    async def run(self) -> None:
        """Do nothing."""


@workflow.defn
class RetriesItsChild:
    """Has a child that is tried up to three times."""

    @workflow.run
    async def run(self, attempts: int) -> str:
        """Wait for it."""
        return await workflow.execute_child_workflow(
            ThirdTimeLucky.run,
            attempts,
            retry_policy=RetryPolicy(initial_interval=SOON, maximum_attempts=3),
        )


@workflow.defn
class HasATickingChild:
    """Has a child that runs each second."""

    @workflow.run
    async def run(self, child_id: str) -> None:
        """Wait for it."""
        await workflow.execute_child_workflow(
            Ticks.run, id=child_id, cron_schedule="@every 1s"
        )


async def test_a_child_is_tried_again_and_its_last_run_tells_the_parent(
    client: Client,
) -> None:
    async with new_worker(client, RetriesItsChild, ThirdTimeLucky) as worker:
        handle = await client.start_workflow(
            RetriesItsChild.run, 3, id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.result() == "attempt 3"
        kinds = await event_types_of(handle)
    assert kinds.count("CHILD_WORKFLOW_EXECUTION_STARTED") == 1
    assert kinds.count("CHILD_WORKFLOW_EXECUTION_FAILED") == 0


async def test_a_child_that_never_succeeds_fails_once_for_its_parent(
    client: Client,
) -> None:
    async with new_worker(client, RetriesItsChild, ThirdTimeLucky) as worker:
        with pytest.raises(WorkflowFailureError) as failed:
            await client.execute_workflow(
                RetriesItsChild.run, 9, id=random_id(), task_queue=worker.task_queue
            )
    assert isinstance(failed.value.cause, ChildWorkflowError)
    assert str(failed.value.cause.cause) == "attempt 3"


async def test_a_child_with_a_cron_schedule_runs_until_somebody_ends_it(
    client: Client,
) -> None:
    child_id = random_id("child")
    async with new_worker(client, HasATickingChild, Ticks) as worker:
        parent = await client.start_workflow(
            HasATickingChild.run,
            child_id,
            id=random_id(),
            task_queue=worker.task_queue,
        )

        async def ticked_twice() -> None:
            try:
                described = await client.get_workflow_handle(child_id).describe()
            except RPCError as error:
                raise AssertionError("not started yet") from error
            info = described.raw_description.workflow_execution_info
            assert info.first_run_id != described.run_id
            assert info.parent_execution.workflow_id == parent.id

        await assert_eventually(ticked_twice)
        await client.get_workflow_handle(child_id).terminate()
        with pytest.raises(WorkflowFailureError) as failed:
            await parent.result()
    assert isinstance(failed.value.cause, ChildWorkflowError)
    assert isinstance(failed.value.cause.cause, TerminatedError)
