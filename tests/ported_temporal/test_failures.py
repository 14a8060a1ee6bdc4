"""How a failure in a workflow or an activity looks to the one who waits for it."""

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import get_context

import pydantic
import pytest

from dbosify import activity, workflow
from dbosify.client import Client, WorkflowFailureError
from dbosify.exceptions import ActivityError, ApplicationError
from dbosify.worker import SharedStateManager, Worker
from tests.ported_temporal.kitchen_sink import (
    Action,
    ExecuteActivity,
    Fail,
    Script,
)
from tests.ported_temporal.scaffold import new_worker, random_id


async def failure_of(
    client: Client, worker: Worker, workflow_type: str, *args: object
) -> BaseException:
    """Run a workflow that has to fail; give what the client says is the cause."""
    with pytest.raises(WorkflowFailureError) as failed:
        await client.execute_workflow(
            workflow_type, args=args, id=random_id(), task_queue=worker.task_queue
        )
    assert failed.value.cause is failed.value.__cause__
    return failed.value.cause


class Foo(pydantic.BaseModel):
    """What the workflow wants but doesn't get."""

    bar: str


@workflow.defn(failure_exception_types=[pydantic.ValidationError])
class PydanticInputWorkflow:
    @workflow.run
    async def run(self, foo: Foo) -> None:
        raise AssertionError("never gets its argument")


async def test_workflow_fail_on_bad_pydantic_input(client: Client) -> None:
    async with new_worker(client, PydanticInputWorkflow) as worker:
        cause = await failure_of(client, worker, "PydanticInputWorkflow", {"bar": 123})
    assert isinstance(cause, ApplicationError)
    assert "1 validation error for Foo" in cause.message


@workflow.defn(failure_exception_types=[Exception])
class TextInputWorkflow:
    @workflow.run
    async def run(self, text: str) -> None:
        raise AssertionError("never gets its argument")


async def test_workflow_fail_on_bad_input(client: Client) -> None:
    async with new_worker(client, TextInputWorkflow) as worker:
        cause = await failure_of(client, worker, "TextInputWorkflow", 123)
    assert isinstance(cause, ApplicationError)
    assert "Expected value to be str, was <class 'int'>" in cause.message


@workflow.defn
class TimesOutWorkflow:
    """Waits in vain in the given way, and doesn't catch the timeout."""

    @workflow.run
    async def run(self, way: str) -> None:
        if way == "workflow.wait_condition":
            await workflow.wait_condition(
                lambda: False, timeout=timedelta(milliseconds=10)
            )
        elif way == "asyncio.wait_for":
            await asyncio.wait_for(asyncio.Event().wait(), timeout=0.01)
        elif sys.version_info >= (3, 11):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()


@pytest.mark.parametrize(
    "way",
    [
        "workflow.wait_condition",
        "asyncio.wait_for",
        pytest.param(
            "asyncio.timeout",
            marks=pytest.mark.skipif(
                sys.version_info < (3, 11),
                reason="asyncio.timeout came with Python 3.11",
            ),
        ),
    ],
)
async def test_workflow_timeout_error(client: Client, way: str) -> None:
    async with new_worker(client, TimesOutWorkflow) as worker:
        cause = await failure_of(client, worker, "TimesOutWorkflow", way)
    assert isinstance(cause, ApplicationError)
    assert cause.type == "TimeoutError"


def calling(name: str, task_queue: str) -> Script:
    """A script that runs one activity of another worker."""
    return Script(
        [Action(execute_activity=ExecuteActivity(name, task_queue=task_queue))]
    )


def assert_runtime_error(cause: BaseException) -> None:
    """The chain that a failed activity leaves, from the run's cause downwards."""
    assert isinstance(cause, ActivityError)
    inner = cause.cause
    assert isinstance(inner, ApplicationError)
    assert str(inner) == "RuntimeError: oh no!"
    assert inner.type == "RuntimeError"


@activity.defn
async def raise_runtime_error() -> None:
    raise RuntimeError("oh no!")


async def test_activity_failure(client: Client, worker: Worker) -> None:
    async with new_worker(client, activities=[raise_runtime_error]) as activity_worker:
        cause = await failure_of(
            client,
            worker,
            "kitchen_sink",
            calling("raise_runtime_error", activity_worker.task_queue),
        )
    assert_runtime_error(cause)


@activity.defn
def raise_runtime_error_elsewhere() -> None:
    """Raise, in whichever process this is run."""
    raise RuntimeError("oh no!")


@contextmanager
def shared_state_and_pool() -> Iterator[tuple[SharedStateManager, ProcessPoolExecutor]]:
    """A process pool for activities and the state it shares with the worker."""
    # A forked child would inherit the threads' locks of this process but not the
    # threads that would release them.
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(1, context) as pool:
        yield SharedStateManager.create_from_multiprocessing(manager), pool


async def test_sync_activity_process_failure(client: Client, worker: Worker) -> None:
    with shared_state_and_pool() as (shared_state, pool):
        async with new_worker(
            client,
            activities=[raise_runtime_error_elsewhere],
            activity_executor=pool,
            shared_state_manager=shared_state,
            max_concurrent_activities=1,
        ) as activity_worker:
            cause = await failure_of(
                client,
                worker,
                "kitchen_sink",
                calling("raise_runtime_error_elsewhere", activity_worker.task_queue),
            )
    assert_runtime_error(cause)


async def test_workflow_failed(client: Client, worker: Worker) -> None:
    details = {"foo": "bar", "baz": 123.45}
    cause = await failure_of(
        client,
        worker,
        "kitchen_sink",
        Script([Action(fail=Fail("some error", details=[details]))]),
    )
    assert isinstance(cause, ApplicationError)
    assert str(cause) == "some error"
    assert list(cause.details) == [details]
