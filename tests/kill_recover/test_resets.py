"""A run that was reset goes on, whoever dies before, in or after its first turn."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from dbosify._runtime.faults import Point
from dbosify.api.common.v1 import WorkflowExecution
from dbosify.api.enums.v1 import EventType
from dbosify.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from dbosify.client import WorkflowExecutionStatus, WorkflowHandle
from tests.kill_recover import evidence
from tests.kill_recover.arena import SHORT_LEASE, Arena
from tests.kill_recover.scenarios import Sequential

DONE = ["first", "second", "third"]

PASSAGES = {
    # A run of its own: one claim, four turns and three activities before the reset.
    Point.AFTER_CLAIM: 2,
    Point.AFTER_LOAD: 2,
    Point.BEFORE_COMMIT: 5,
    Point.AFTER_COMMIT: 5,
    Point.BEFORE_ACTIVITY_END: 5,
    Point.AFTER_CLOSE: 2,
}
"""At which passage of a point the worker is killed."""


async def reset(arena: Arena, handle: WorkflowHandle[Sequential, list[str]]) -> str:
    """Reset a run to its second workflow task; tells the new one's id."""
    events = (await handle.fetch_history()).events
    tasks = [
        event.event_id
        for event in events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    answer = await arena.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=arena.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            workflow_task_finish_event_id=tasks[1],
            request_id=str(uuid.uuid4()),
            reason="once more",
        )
    )
    return answer.run_id


@pytest.mark.parametrize("point", PASSAGES)
async def test_another_worker_finishes_the_run_of_a_reset(
    arena: Arena, point: Point
) -> None:
    queue = f"queue-{uuid.uuid4()}"
    fault = {"DBOSIFY_FAULT": f"{point.name}:kill:{PASSAGES[point]}"}
    async with (
        arena.stable.process(**SHORT_LEASE, **fault) as victim,
        arena.serving(arena.rescuer, queue),
    ):
        await victim.order(do="serve", queue=queue)
        with arena.rescuer.held():
            handle = await arena.client.start_workflow(
                Sequential.run, id=f"reset-{uuid.uuid4()}", task_queue=queue
            )
            assert await handle.result() == DONE
            run_id = await reset(arena, handle)
            await victim.killed()
        again = arena.client.get_workflow_handle(handle.id, run_id=run_id)
        assert await asyncio.wait_for(again.result(), 20) == DONE
    described = await again.describe()
    assert described.status is WorkflowExecutionStatus.COMPLETED
    history = await again.fetch_history()
    evidence.check_closed(history, WorkflowExecutionStatus.COMPLETED)
    assert len(evidence.activities_of(history)) == 3
    await evidence.check_nothing_left(arena.url, handle.id)


async def test_of_two_resets_at_once_one_follows_the_other(arena: Arena) -> None:
    queue = f"queue-{uuid.uuid4()}"
    async with arena.serving(arena.rescuer, queue):
        handle = await arena.client.start_workflow(
            Sequential.run, id=f"reset-{uuid.uuid4()}", task_queue=queue
        )
        assert await handle.result() == DONE
        runs = await asyncio.gather(*(reset(arena, handle) for _ in range(4)))
        assert len(set(runs)) == 4
        latest = arena.client.get_workflow_handle(handle.id)
        assert await latest.result() == DONE
    statuses = [
        (
            await arena.client.get_workflow_handle(handle.id, run_id=run_id).describe()
        ).status
        for run_id in runs
    ]
    assert statuses.count(WorkflowExecutionStatus.COMPLETED) >= 1
    assert WorkflowExecutionStatus.RUNNING not in statuses
