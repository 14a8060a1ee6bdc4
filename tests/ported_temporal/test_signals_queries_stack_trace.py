"""The built-in queries that tell where a run waits."""

import asyncio
import importlib.metadata
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from dbosify import activity, workflow
from dbosify.api.sdk.v1 import EnhancedStackTrace
from dbosify.client import Client, WorkflowHandle
from tests.ported_temporal.elsewhere import wait_elsewhere
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    new_worker,
    random_id,
)

A_LONG_TIME = timedelta(hours=1)


@activity.defn
async def wait_for_cancellation() -> None:
    """Stay until the worker shuts down."""
    await asyncio.Event().wait()


@workflow.defn
class EndlessWorkflow:
    """A child that stays."""

    @workflow.run
    async def run(self) -> NoReturn:
        await workflow.wait_condition(lambda: False)
        raise AssertionError("waits forever")


@workflow.defn
class ManyWaitsWorkflow:
    """Waits for a timer, an activity, a child and a coroutine of its own."""

    def __init__(self) -> None:
        self.status = "new"

    @workflow.run
    async def run(self) -> None:
        waits = [
            asyncio.create_task(asyncio.sleep(A_LONG_TIME.total_seconds())),
            asyncio.create_task(self.run_activity()),
            asyncio.create_task(self.run_child()),
            asyncio.create_task(self.wait_here()),
        ]
        self.status = "waiting"
        await asyncio.gather(*waits)

    async def run_activity(self) -> None:
        await workflow.execute_activity(
            wait_for_cancellation, schedule_to_close_timeout=A_LONG_TIME
        )

    async def run_child(self) -> None:
        await workflow.execute_child_workflow(
            EndlessWorkflow.run, id=f"{workflow.info().workflow_id}_child"
        )

    async def wait_here(self) -> None:
        await workflow.wait_condition(lambda: False)  # a line worth looking for

    @workflow.query
    def how_far(self) -> str:
        return self.status


@workflow.defn
class WaitElsewhereWorkflow:
    """Waits for a timer, an activity and a coroutine of another file."""

    def __init__(self) -> None:
        self.status = "new"

    @workflow.run
    async def run(self) -> None:
        waits = [
            asyncio.create_task(asyncio.sleep(A_LONG_TIME.total_seconds())),
            asyncio.create_task(self.run_activity()),
            asyncio.create_task(wait_elsewhere()),
        ]
        self.status = "waiting"
        await asyncio.gather(*waits)

    async def run_activity(self) -> None:
        await workflow.execute_activity(
            wait_for_cancellation, schedule_to_close_timeout=A_LONG_TIME
        )

    @workflow.query
    def how_far(self) -> str:
        return self.status


async def until_waiting(handle: WorkflowHandle[Any, Any]) -> None:
    """Return once the run has started everything it waits for."""

    async def status() -> str:
        answer: str = await handle.query("how_far")
        return answer

    await assert_eq_eventually("waiting", status)


def functions_in(trace: EnhancedStackTrace) -> set[str]:
    """The names of all functions the trace passes through."""
    return {
        location.function_name for stack in trace.stacks for location in stack.locations
    }


def source_in(trace: EnhancedStackTrace, file_name: str) -> str:
    """What the trace holds of the file with that name."""
    [path] = [path for path in trace.sources if path.endswith(file_name)]
    return trace.sources[path].content


@pytest.mark.needs("child workflows")
async def test_workflow_stack_trace(client: Client) -> None:
    async with new_worker(
        client, ManyWaitsWorkflow, EndlessWorkflow, activities=[wait_for_cancellation]
    ) as worker:
        handle = await client.start_workflow(
            ManyWaitsWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await until_waiting(handle)
        trace: str = await handle.query("__stack_trace")
        await handle.terminate()
    assert "wait_here" in trace


@pytest.mark.needs("child workflows")
async def test_workflow_enhanced_stack_trace(client: Client) -> None:
    async with new_worker(
        client, ManyWaitsWorkflow, EndlessWorkflow, activities=[wait_for_cancellation]
    ) as worker:
        handle = await client.start_workflow(
            ManyWaitsWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await until_waiting(handle)
        trace = await handle.query(
            "__enhanced_stack_trace", result_type=EnhancedStackTrace
        )
        await handle.terminate()

    assert isinstance(trace, EnhancedStackTrace)
    assert "wait_here" in functions_in(trace)
    source = source_in(trace, "test_signals_queries_stack_trace.py")
    assert (
        "await workflow.wait_condition(lambda: False)  # a line worth looking for"
        in source
    )
    assert trace.sdk.name == "sdk-python"
    assert trace.sdk.version == importlib.metadata.version("temporalio")


async def test_workflow_external_enhanced_stack_trace(client: Client) -> None:
    async with new_worker(
        client, WaitElsewhereWorkflow, activities=[wait_for_cancellation]
    ) as worker:
        handle = await client.start_workflow(
            WaitElsewhereWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await until_waiting(handle)
        trace = await handle.query(
            "__enhanced_stack_trace", result_type=EnhancedStackTrace
        )
        await handle.terminate()

    assert isinstance(trace, EnhancedStackTrace)
    assert "wait_elsewhere" in functions_in(trace)
    assert (
        "await workflow.wait_condition(lambda: False)  # the line that a trace shows"
        in source_in(trace, "elsewhere.py")
    )
    assert trace.sdk.version == importlib.metadata.version("temporalio")
