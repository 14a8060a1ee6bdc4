"""Cancelling children and other workflows, and being cancelled beside them."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest

from dbosify import workflow
from dbosify.api.enums.v1 import EventType
from dbosify.client import Client, WorkflowFailureError, WorkflowHandle
from dbosify.exceptions import CancelledError, ChildWorkflowError
from tests.ported_temporal.scaffold import (
    assert_event_subsequence,
    assert_workflow_exists_eventually,
    captured_logs,
    event_types_of,
    new_worker,
    random_id,
    single_batch_worker,
)

pytestmark = pytest.mark.needs("child workflows", "external signals")

CHILD_STARTED = EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED
CHILD_COMPLETED = EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED
INSTANCE_LOGGER = logging.getLogger("temporalio.worker._workflow_instance")


async def failure_of(handle: WorkflowHandle[Any, Any]) -> BaseException:
    """Wait until the run has failed; give why."""
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert failed.value.cause is not None
    return failed.value.cause


def child_id_of(parent_id: str) -> str:
    """The id of the one child that a parent of these tests has."""
    return f"{parent_id}_child"


@workflow.defn
class ReasonWorkflow:
    """Returns the reason for which it was cancelled."""

    @workflow.run
    async def run(self) -> str | None:
        try:
            await workflow.wait_condition(lambda: False)
        except asyncio.CancelledError:
            return workflow.cancellation_reason()
        return "not cancelled"


@workflow.defn
class ReasonGivingParentWorkflow:
    @workflow.run
    async def run(self) -> str | None:
        child = await workflow.start_child_workflow(
            ReasonWorkflow.run, id=child_id_of(workflow.info().workflow_id)
        )
        child.cancel("from-parent")
        return await child


async def test_workflow_child_cancel_reason(client: Client) -> None:
    async with new_worker(client, ReasonWorkflow, ReasonGivingParentWorkflow) as worker:
        result = await client.execute_workflow(
            ReasonGivingParentWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == "from-parent"


@workflow.defn
class CancellingWorkflow:
    """Cancels the workflow whose id it is given."""

    @workflow.run
    async def run(self, other_id: str, reason: str | None) -> None:
        other = workflow.get_external_workflow_handle(other_id)
        if reason is None:
            await other.cancel()
        else:
            await other.cancel(reason=reason)


async def test_workflow_external_cancel_reason(client: Client) -> None:
    async with new_worker(client, ReasonWorkflow, CancellingWorkflow) as worker:
        target = await client.start_workflow(
            ReasonWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await client.execute_workflow(
            CancellingWorkflow.run,
            args=[target.id, "from-external-caller"],
            id=random_id(),
            task_queue=worker.task_queue,
        )
        # The server adds who asked for it.
        assert "from-external-caller" in (await target.result() or "")


@workflow.defn
class EndlessWorkflow:
    """Waits; a test or a parent has to end it, or a signal does."""

    def __init__(self) -> None:
        self._may_end = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self._may_end)
        return "told to end"

    @workflow.signal
    def end(self) -> None:
        self._may_end = True


async def test_workflow_cancel_external(client: Client) -> None:
    async with new_worker(client, EndlessWorkflow, CancellingWorkflow) as worker:
        target = await client.start_workflow(
            EndlessWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await client.execute_workflow(
            CancellingWorkflow.run,
            args=[target.id, None],
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert isinstance(await failure_of(target), CancelledError)


@workflow.defn
class WaitingParentWorkflow:
    """Waits for a child that other workers may have to run."""

    @workflow.run
    async def run(self, child_queue: str) -> str:
        return await workflow.execute_child_workflow(
            EndlessWorkflow.run,
            id=child_id_of(workflow.info().workflow_id),
            task_queue=child_queue,
        )


async def test_workflow_cancel_and_child_completion_in_same_activation(
    client: Client,
) -> None:
    queue = random_id("queue")
    async with new_worker(client, EndlessWorkflow) as children:
        async with single_batch_worker(client, WaitingParentWorkflow, queue):
            parent = await client.start_workflow(
                WaitingParentWorkflow.run,
                children.task_queue,
                id=random_id(),
                task_queue=queue,
            )
            await assert_event_subsequence(parent, [CHILD_STARTED])
        child: WorkflowHandle[EndlessWorkflow, str] = client.get_workflow_handle_for(
            EndlessWorkflow.run, child_id_of(parent.id)
        )
        await child.signal(EndlessWorkflow.end)
        assert await child.result() == "told to end"
        await assert_event_subsequence(parent, [CHILD_COMPLETED])
        await parent.cancel()
        async with single_batch_worker(client, WaitingParentWorkflow, queue):
            assert isinstance(await failure_of(parent), CancelledError)


@workflow.defn
class ChildCancellingWorkflow:
    """Cancels its child when it is told to, and does not catch what follows."""

    def __init__(self) -> None:
        self._cancel = False

    @workflow.run
    async def run(self, executed: bool) -> None:
        child_id = child_id_of(workflow.info().workflow_id)
        if executed:
            task: asyncio.Task[str] = asyncio.create_task(
                workflow.execute_child_workflow(EndlessWorkflow.run, id=child_id)
            )
        else:
            task = await workflow.start_child_workflow(EndlessWorkflow.run, id=child_id)
        await workflow.wait_condition(lambda: self._cancel)
        task.cancel()
        await task

    @workflow.signal
    def cancel_child(self) -> None:
        self._cancel = True


@pytest.mark.parametrize("executed", [True, False], ids=["executed", "started"])
async def test_workflow_cancel_child_started(client: Client, executed: bool) -> None:
    async with new_worker(client, EndlessWorkflow, ChildCancellingWorkflow) as worker:
        parent = await client.start_workflow(
            ChildCancellingWorkflow.run,
            executed,
            id=random_id(),
            task_queue=worker.task_queue,
        )
        await assert_workflow_exists_eventually(
            client, EndlessWorkflow.run, child_id_of(parent.id)
        )
        await assert_event_subsequence(parent, [CHILD_STARTED])
        await parent.signal(ChildCancellingWorkflow.cancel_child)
        error = await failure_of(parent)
    assert isinstance(error, ChildWorkflowError)
    assert isinstance(error.cause, CancelledError)


@workflow.defn
class LateParentWorkflow:
    """Starts its child on a signal, on a queue that nobody serves."""

    def __init__(self) -> None:
        self._may_start = False

    @workflow.run
    async def run(self, child_queue: str) -> None:
        await workflow.wait_condition(lambda: self._may_start)
        await workflow.execute_child_workflow(
            EndlessWorkflow.run,
            id=child_id_of(workflow.info().workflow_id),
            task_queue=child_queue,
        )

    @workflow.signal
    def start_child(self) -> None:
        self._may_start = True


async def test_workflow_cancel_child_unstarted(client: Client) -> None:
    async with new_worker(client, LateParentWorkflow) as worker:
        parent = await client.start_workflow(
            LateParentWorkflow.run,
            random_id("nobody"),
            id=random_id(),
            task_queue=worker.task_queue,
            execution_timeout=timedelta(seconds=30),
        )
        await parent.signal(LateParentWorkflow.start_child)
        await parent.cancel()
        assert isinstance(await failure_of(parent), CancelledError)


@workflow.defn
class ShieldedChildWorkflow:
    """Cancels the task in which it waits for its child."""

    @workflow.run
    async def run(self) -> str:
        task = asyncio.create_task(
            workflow.execute_child_workflow(
                EndlessWorkflow.run, id=child_id_of(workflow.info().workflow_id)
            )
        )
        await workflow.sleep(0.01)
        task.cancel()
        try:
            await task
        except ChildWorkflowError as error:
            cancelled = isinstance(error.cause, CancelledError)
            return "child_cancelled" if cancelled else "child_failed"
        return "child_completed"


def no_shielded_future(message: str) -> bool:
    """Whether a message is not asyncio's about an error nobody asked for."""
    return "exception in shielded future" not in message


async def test_workflow_uncancel_shield_child_workflow(client: Client) -> None:
    with captured_logs(INSTANCE_LOGGER, level=logging.WARNING) as logs:
        async with new_worker(client, EndlessWorkflow, ShieldedChildWorkflow) as worker:
            handle = await client.start_workflow(
                ShieldedChildWorkflow.run, id=random_id(), task_queue=worker.task_queue
            )
            assert await handle.result() == "child_cancelled"
    asked = "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED"
    assert (await event_types_of(handle)).count(asked) == 1
    assert all(no_shielded_future(record.getMessage()) for record in logs.records)


@workflow.defn
class ToldWorkflow:
    """Returns what it is told."""

    def __init__(self) -> None:
        self._told: str | None = None

    @workflow.run
    async def run(self) -> str | None:
        await workflow.wait_condition(lambda: self._told is not None)
        return self._told

    @workflow.signal
    def tell(self, text: str) -> None:
        self._told = text


@workflow.defn
class TellingWorkflow:
    """Signals another workflow in a task of its own."""

    @workflow.run
    async def run(self, other_id: str) -> str:
        other: workflow.ExternalWorkflowHandle[ToldWorkflow] = (
            workflow.get_external_workflow_handle_for(ToldWorkflow.run, other_id)
        )
        task = asyncio.create_task(other.signal(ToldWorkflow.tell, "test_value"))
        try:
            await task
        except asyncio.CancelledError:
            return "signal_cancelled"
        return "signal_sent"


async def test_workflow_uncancel_shield_signal_external(client: Client) -> None:
    with captured_logs(INSTANCE_LOGGER, level=logging.WARNING) as logs:
        async with new_worker(client, ToldWorkflow, TellingWorkflow) as worker:
            target = await client.start_workflow(
                ToldWorkflow.run, id=random_id(), task_queue=worker.task_queue
            )
            said = await client.execute_workflow(
                TellingWorkflow.run,
                target.id,
                id=random_id(),
                task_queue=worker.task_queue,
            )
            assert said == "signal_sent"
            assert await target.result() == "test_value"
    assert all(no_shielded_future(record.getMessage()) for record in logs.records)
