"""Update handlers that still run, or have just finished, while their run ends."""

import asyncio
import warnings
from collections.abc import Sequence
from typing import Any

import pytest

from dbosify import workflow
from dbosify.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from dbosify.common import RawValue
from dbosify.exceptions import ApplicationError, CancelledError
from dbosify.service import RPCError, RPCStatusCode
from tests.ported_temporal.leaving_handlers import LeavesHandlers
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    assert_task_fail_eventually,
    new_worker,
    random_id,
    workflow_update_exists,
)

UPDATE_WARNING = workflow.UnfinishedUpdateHandlersWarning
SIGNAL_WARNING = workflow.UnfinishedSignalHandlersWarning
ABANDONED = "AcceptedUpdateCompletedWorkflow"


def abandoned(error: WorkflowUpdateFailedError) -> bool:
    """Whether the update failed because its run had ended."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == ABANDONED


@workflow.defn
class LeavesUpdateWorkflow(LeavesHandlers):
    @workflow.run
    async def run(self, wait_for_handlers: bool) -> bool:
        return await self.end(wait_for_handlers)

    @workflow.update
    async def undecided(self) -> None:
        await self.begin_and_wait()

    @workflow.update(
        unfinished_policy=workflow.HandlerUnfinishedPolicy.WARN_AND_ABANDON
    )
    async def missed(self) -> None:
        await self.begin_and_wait()

    @workflow.update(unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def forgotten(self) -> None:
        await self.begin_and_wait()


@pytest.mark.parametrize(
    ("update", "wait_for_handlers", "warns"),
    [
        ("undecided", False, True),
        ("missed", False, True),
        ("forgotten", False, False),
        ("undecided", True, False),
    ],
)
async def test_unfinished_update_handler(
    client: Client, update: str, wait_for_handlers: bool, warns: bool
) -> None:
    async with new_worker(client, LeavesUpdateWorkflow) as worker:
        with warnings.catch_warnings(record=True) as recorded:
            warnings.simplefilter("always", UPDATE_WARNING)
            handle = await client.start_workflow(
                LeavesUpdateWorkflow.run,
                wait_for_handlers,
                id=random_id(),
                task_queue=worker.task_queue,
            )
            if wait_for_handlers:
                await handle.execute_update(update)
            else:
                with pytest.raises(WorkflowUpdateFailedError) as raised:
                    await handle.execute_update(update)
                assert abandoned(raised.value)
            assert await handle.result() == wait_for_handlers
    assert any(issubclass(each.category, UPDATE_WARNING) for each in recorded) == warns


async def test_unfinished_update_handler_fails_the_task_where_warnings_are_errors(
    client: Client,
) -> None:
    async with new_worker(client, LeavesUpdateWorkflow) as worker:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UPDATE_WARNING)
            handle = await client.start_workflow(
                LeavesUpdateWorkflow.run,
                False,
                id=random_id(),
                task_queue=worker.task_queue,
            )
            sending = asyncio.create_task(handle.execute_update("missed"))
            message = await assert_task_fail_eventually(
                handle, message_contains="Workflow finished while update handlers"
            )
            await handle.terminate()
            with pytest.raises((WorkflowUpdateFailedError, RPCError)):
                await sending
    assert message.startswith("[TMPRL1102] ")


@workflow.defn
class EndsAnyhowWorkflow:
    """Ends in one of three ways while a handler of one of many kinds still waits."""

    def __init__(self) -> None:
        self.begun = False
        self.may_finish = False

    @workflow.run
    async def run(self, ending: str, message: str, late: bool, waits: bool) -> None:
        if ending == "failure after continue-as-new":
            raise ApplicationError("Deliberately failing post-ContinueAsNew run")
        if late and message == "update":
            workflow.set_update_handler("late", self.handle)
            workflow.set_dynamic_update_handler(self.handle_any)
        elif late:
            workflow.set_signal_handler("late", self.handle)
            workflow.set_dynamic_signal_handler(self.handle_any)
        try:
            await workflow.wait_condition(
                lambda: self.begun and ending != "cancellation"
            )
        finally:
            if waits:
                self.may_finish = True
                await workflow.wait_condition(workflow.all_handlers_finished)
        if ending == "failure":
            raise ApplicationError("Deliberately failing")
        workflow.continue_as_new(
            args=["failure after continue-as-new", message, late, waits]
        )

    async def handle(self) -> None:
        self.begun = True
        await workflow.wait_condition(lambda: self.may_finish)

    async def handle_any(self, name: str, args: Sequence[RawValue]) -> None:
        await self.handle()

    @workflow.update
    async def early_update(self) -> None:
        await self.handle()

    @workflow.signal
    async def early_signal(self) -> None:
        await self.handle()

    @workflow.update(dynamic=True)
    async def any_update(self, name: str, args: Sequence[RawValue]) -> None:
        await self.handle()

    @workflow.signal(dynamic=True)
    async def any_signal(self, name: str, args: Sequence[RawValue]) -> None:
        await self.handle()


async def send(
    handle: WorkflowHandle[Any, Any], message: str, name: str, waits: bool
) -> None:
    """Send what the run shall be busy with, and see what becomes of it."""
    if message == "signal":
        await handle.signal(name)
    elif waits:
        await handle.execute_update(name, id="the-update")
    else:
        with pytest.raises((WorkflowUpdateFailedError, RPCError)) as raised:
            await handle.execute_update(name, id="the-update")
        error = raised.value
        if isinstance(error, RPCError):
            assert error.status == RPCStatusCode.NOT_FOUND
            assert str(error) == "workflow execution already completed"
        else:
            assert isinstance(error, WorkflowUpdateFailedError)
            assert abandoned(error)


@pytest.mark.parametrize("waits", [False, True], ids=["leaves", "waits"])
@pytest.mark.parametrize("dynamic", [False, True], ids=["named", "dynamic"])
@pytest.mark.parametrize("late", [False, True], ids=["decorated", "set"])
@pytest.mark.parametrize("message", ["signal", "update"])
@pytest.mark.parametrize("ending", ["cancellation", "failure", "continue-as-new"])
async def test_unfinished_handler_on_workflow_termination(
    client: Client, ending: str, message: str, late: bool, dynamic: bool, waits: bool
) -> None:
    queue = random_id("queue")
    handle = await client.start_workflow(
        EndsAnyhowWorkflow.run,
        args=[ending, message, late, waits],
        id=random_id(),
        task_queue=queue,
    )
    name = "unheard of" if dynamic else "late" if late else f"early_{message}"
    sending = asyncio.create_task(send(handle, message, name, waits))
    if message == "update":
        await assert_eq_eventually(
            True, lambda: workflow_update_exists(client, handle.id, "the-update")
        )
    else:
        await sending
    if ending == "cancellation":
        await handle.cancel()
    with warnings.catch_warnings(record=True) as recorded:
        warnings.simplefilter("always")
        async with new_worker(client, EndsAnyhowWorkflow, task_queue=queue):
            with pytest.raises(WorkflowFailureError) as raised:
                await handle.result()
            await sending
    if ending == "cancellation":
        assert isinstance(raised.value.cause, CancelledError)
    else:
        assert isinstance(raised.value.cause, ApplicationError)
        assert "Deliberately failing" in str(raised.value.cause)
    meant = UPDATE_WARNING if message == "update" else SIGNAL_WARNING
    assert any(issubclass(each.category, meant) for each in recorded) != waits


@workflow.defn
class ReturnsFirstWorkflow:
    """Its update is answered in the task in which the run returns, but after it."""

    def __init__(self) -> None:
        self.returned = False

    @workflow.run
    async def run(self) -> str:
        self.returned = True
        return "workflow-result"

    @workflow.update
    async def update(self) -> str:
        await workflow.wait_condition(lambda: self.returned)
        return "update-result"


async def test_update_completion_is_honored_when_after_workflow_return_1(
    client: Client,
) -> None:
    queue = random_id("queue")
    handle = await client.start_workflow(
        ReturnsFirstWorkflow.run, id=random_id(), task_queue=queue
    )
    sending = asyncio.create_task(
        handle.execute_update(ReturnsFirstWorkflow.update, id="the-update")
    )
    await assert_eq_eventually(
        True, lambda: workflow_update_exists(client, handle.id, "the-update")
    )
    async with new_worker(client, ReturnsFirstWorkflow, task_queue=queue):
        assert await sending == "update-result"
        assert await handle.result() == "workflow-result"


@workflow.defn
class ResolvesFutureWorkflow:
    """Resolves what its update waits for, and returns."""

    def __init__(self) -> None:
        self.begun = False
        self.resolved: asyncio.Future[str] = asyncio.Future()

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.begun)
        self.resolved.set_result("update-result")
        return "workflow-result"

    @workflow.update
    async def update(self) -> str:
        self.begun = True
        return await self.resolved


async def test_update_completion_is_honored_when_after_workflow_return_2(
    client: Client,
) -> None:
    async with new_worker(client, ResolvesFutureWorkflow) as worker:
        handle = await client.start_workflow(
            ResolvesFutureWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert (
            await handle.execute_update(ResolvesFutureWorkflow.update)
            == "update-result"
        )
        assert await handle.result() == "workflow-result"
