"""Updates that meet the end of their run, or of their run's worker."""

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest

from dbosify import workflow
from dbosify.client import Client, WorkflowUpdateHandle, WorkflowUpdateStage
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import UnsandboxedWorkflowRunner
from tests.ported_temporal.contract import (
    closed,
    execution,
    history_of,
    names_of,
    terminate,
)
from tests.ported_temporal.scaffold import deadlock_after, new_worker, random_id
from tests.ported_temporal.update_requests import (
    ABANDONED,
    ACCEPTED,
    COMPLETED,
    UpdatableWorkflow,
    admitted,
    poll,
    update,
)

PATIENCE = 10.0


class Gate:
    """Where the code of a workflow holds its task open until the test lets it on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def pass_through(self) -> None:
        """Called by the workflow."""
        self.reached.set()
        assert self.opened.wait(PATIENCE)


gates: dict[str, Gate] = {}
"""By workflow id."""


@workflow.defn(sandboxed=False)
class HesitatesWorkflow:
    """Ends in its first task, slowly; continued as new it waits for its updates."""

    @workflow.run
    async def run(self, how: str) -> str:
        if how == "wait":
            await workflow.wait_condition(lambda: False)
        gates[workflow.info().workflow_id].pass_through()
        if how == "continue":
            workflow.continue_as_new("wait")
        return "done"

    @workflow.update
    def where(self) -> str:
        return workflow.info().run_id


@pytest.mark.parametrize("how", ["return", "continue"])
async def test_an_update_that_comes_while_its_run_decides_to_end(
    client: Client, how: str
) -> None:
    workflow_id = random_id()
    gate = gates[workflow_id] = Gate()
    hesitating = new_worker(
        client, HesitatesWorkflow, workflow_runner=UnsandboxedWorkflowRunner()
    )
    async with deadlock_after(hesitating, int(2 * PATIENCE)) as worker:
        handle = await client.start_workflow(
            HesitatesWorkflow.run, how, id=workflow_id, task_queue=worker.task_queue
        )
        try:
            assert await asyncio.to_thread(gate.reached.wait, PATIENCE)
            sending = asyncio.create_task(
                handle.execute_update(HesitatesWorkflow.where, id="u")
            )
            await admitted(client, execution(workflow_id), "u")
        finally:
            gate.opened.set()
        first_run = execution(workflow_id, handle.first_execution_run_id or "")
        if how == "continue":
            # The client comes again, and finds the next run.
            assert await sending != handle.first_execution_run_id
            await handle.terminate()
        else:
            with pytest.raises(RPCError, match="aborted by closing workflow") as raised:
                await sending
            assert raised.value.status == RPCStatusCode.NOT_FOUND
            assert await handle.result() == "done"
        assert len(await history_of(client, first_run)) == 5, "it decided once"


async def test_an_update_outlives_the_worker_that_accepted_it(client: Client) -> None:
    queue, workflow_id = random_id("queue"), random_id()
    handle = await client.start_workflow(
        UpdatableWorkflow.run, id=workflow_id, task_queue=queue
    )
    updates: list[WorkflowUpdateHandle[Any]] = []
    async with new_worker(client, UpdatableWorkflow, task_queue=queue):
        for value in ("a", "b"):
            updates.append(
                await handle.start_update(
                    "wait",
                    value,
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                )
            )
    waiting = [asyncio.create_task(each.result()) for each in updates]
    await handle.signal(UpdatableWorkflow.release)
    async with new_worker(client, UpdatableWorkflow, task_queue=queue):
        assert await asyncio.gather(*waiting) == ["a", "b"]
        await handle.terminate()
    kinds = names_of(await history_of(client, execution(workflow_id)))
    assert kinds.count("WORKFLOW_EXECUTION_UPDATE_ACCEPTED") == 2
    assert kinds.count("WORKFLOW_EXECUTION_UPDATE_COMPLETED") == 2


@pytest.mark.needs("run timeouts")
async def test_an_update_of_a_run_that_is_out_of_time(client: Client) -> None:
    async with new_worker(client, UpdatableWorkflow) as worker:
        workflow_id = random_id()
        target = execution(workflow_id)
        await client.start_workflow(
            UpdatableWorkflow.run,
            id=workflow_id,
            task_queue=worker.task_queue,
            run_timeout=timedelta(seconds=1),
        )
        await update(client, target, "wait", "a", update_id="u", stage=ACCEPTED)
        assert (await poll(client, target, "u", COMPLETED)).outcome == ABANDONED
        await closed(client, workflow_id)


async def test_updates_of_a_run_that_no_worker_has_taken_wait_for_one(
    client: Client,
) -> None:
    queue, workflow_id = random_id("queue"), random_id()
    handle = await client.start_workflow(
        UpdatableWorkflow.run, id=workflow_id, task_queue=queue
    )
    ids = [f"u{number}" for number in range(4)]
    sending = [
        asyncio.create_task(handle.execute_update("echo", update_id, id=update_id))
        for update_id in ids
    ]
    for update_id in ids:
        await admitted(client, execution(workflow_id), update_id)
    async with new_worker(client, UpdatableWorkflow, task_queue=queue):
        assert await asyncio.gather(*sending) == ids
        kinds = names_of(await history_of(client, execution(workflow_id)))
        assert kinds.count("WORKFLOW_TASK_COMPLETED") == 1
        await terminate(client, execution(workflow_id))
