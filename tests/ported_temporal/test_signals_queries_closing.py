"""Signal handlers that still run, or raise, while their run comes to its end."""

import asyncio
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NoReturn

import pytest

from dbosify import workflow
from dbosify.client import Client, WorkflowFailureError
from dbosify.exceptions import ApplicationError
from tests.ported_temporal.leaving_handlers import LeavesHandlers
from tests.ported_temporal.scaffold import (
    assert_task_fail_eventually,
    event_types_of,
    new_worker,
    random_id,
)

UNFINISHED = workflow.UnfinishedSignalHandlersWarning


@workflow.defn
class LeavesHandlerWorkflow(LeavesHandlers):
    @workflow.run
    async def run(self, wait_for_handlers: bool) -> bool:
        return await self.end(wait_for_handlers)

    @workflow.signal
    async def undecided(self) -> None:
        await self.begin_and_wait()

    @workflow.signal(
        unfinished_policy=workflow.HandlerUnfinishedPolicy.WARN_AND_ABANDON
    )
    async def missed(self) -> None:
        await self.begin_and_wait()

    @workflow.signal(unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def forgotten(self) -> None:
        await self.begin_and_wait()


@contextmanager
def recorded_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Collect warnings, also those that the suite turns into errors."""
    with warnings.catch_warnings(record=True) as recorded:
        warnings.simplefilter("always", UNFINISHED)
        yield recorded


@pytest.mark.parametrize(
    ("signal", "wait_for_handlers", "warns"),
    [
        ("undecided", False, True),
        ("missed", False, True),
        ("forgotten", False, False),
        ("undecided", True, False),
    ],
)
async def test_unfinished_signal_handler(
    client: Client, signal: str, wait_for_handlers: bool, warns: bool
) -> None:
    async with new_worker(client, LeavesHandlerWorkflow) as worker:
        with recorded_warnings() as recorded:
            handle = await client.start_workflow(
                LeavesHandlerWorkflow.run,
                wait_for_handlers,
                id=random_id(),
                task_queue=worker.task_queue,
            )
            await handle.signal(signal)
            finished = await handle.result()
    assert finished == wait_for_handlers
    assert any(issubclass(each.category, UNFINISHED) for each in recorded) == warns


async def test_unfinished_signal_handler_fails_the_task_where_warnings_are_errors(
    client: Client,
) -> None:
    async with new_worker(client, LeavesHandlerWorkflow) as worker:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UNFINISHED)
            handle = await client.start_workflow(
                LeavesHandlerWorkflow.run,
                False,
                id=random_id(),
                task_queue=worker.task_queue,
            )
            await handle.signal(LeavesHandlerWorkflow.missed)
            message = await assert_task_fail_eventually(
                handle, message_contains="Workflow finished while signal handlers"
            )
            await handle.terminate()
    assert message.startswith(
        "[TMPRL1102] Workflow finished while signal handlers are still running"
    )


@workflow.defn
class TwoRaisingHandlersWorkflow:
    """Both handlers raise in one task, the one that was signalled last raises first."""

    def __init__(self) -> None:
        self.second_came = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.second_came)
        return "never used"

    @workflow.signal
    async def sent_first(self) -> NoReturn:
        await workflow.wait_condition(lambda: self.second_came)
        raise ApplicationError("raised too late to be seen")

    @workflow.signal
    async def sent_second(self) -> NoReturn:
        self.second_came = True
        raise ApplicationError("raised in time")


async def test_first_of_two_signal_completion_commands_is_honored(
    client: Client,
) -> None:
    worker = new_worker(client, TwoRaisingHandlersWorkflow)
    handle = await client.start_workflow(
        TwoRaisingHandlersWorkflow.run, id=random_id(), task_queue=worker.task_queue
    )
    # Sent before there is a worker, both arrive in its first task.
    await handle.signal(TwoRaisingHandlersWorkflow.sent_first)
    await handle.signal(TwoRaisingHandlersWorkflow.sent_second)
    async with worker:
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert str(failed.value.cause).startswith("raised in time")


@workflow.defn
class RaisesAfterReturnWorkflow:
    """Its handlers raise, in the same task, after ``run`` has returned."""

    def __init__(self) -> None:
        self.first_came = False
        self.second_came = False
        self.returned = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.first_came and self.second_came)
        try:
            return "workflow-result"
        finally:
            self.returned = True

    @workflow.signal
    async def sent_first(self) -> NoReturn:
        self.second_came = True
        await workflow.wait_condition(lambda: self.returned)
        raise ApplicationError("raised after the end")

    @workflow.signal
    async def sent_second(self) -> NoReturn:
        self.first_came = True
        await workflow.wait_condition(lambda: self.returned)
        raise ApplicationError("raised after the end, too")


async def test_workflow_return_is_honored_when_it_precedes_signal_completion_command(
    client: Client,
) -> None:
    worker = new_worker(client, RaisesAfterReturnWorkflow)
    handle = await client.start_workflow(
        RaisesAfterReturnWorkflow.run, id=random_id(), task_queue=worker.task_queue
    )
    await handle.signal(RaisesAfterReturnWorkflow.sent_first)
    await handle.signal(RaisesAfterReturnWorkflow.sent_second)
    async with worker:
        assert await handle.result() == "workflow-result"


@workflow.defn
class SleepsAfterReturnWorkflow:
    """Its handler begins to sleep when ``run`` has returned already."""

    def __init__(self) -> None:
        self.came = False
        self.returned = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.came)
        self.returned = True
        return "workflow-result"

    @workflow.signal(unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def sleep_when_over(self) -> None:
        self.came = True
        await workflow.wait_condition(lambda: self.returned)
        await asyncio.sleep(timedelta(days=100).total_seconds())


async def test_timer_started_after_workflow_completion(client: Client) -> None:
    async with new_worker(client, SleepsAfterReturnWorkflow) as worker:
        handle = await client.start_workflow(
            SleepsAfterReturnWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await handle.signal(SleepsAfterReturnWorkflow.sleep_when_over)
        assert await handle.result() == "workflow-result"
        types = await event_types_of(handle)
    # What the handler asked for is journaled in spite of the end, before it.
    assert types[-3:] == [
        "WORKFLOW_TASK_COMPLETED",
        "TIMER_STARTED",
        "WORKFLOW_EXECUTION_COMPLETED",
    ]
