"""How workers begin, what they say of themselves, and how they end."""

import asyncio
import inspect
import os
import signal
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import chain, repeat
from typing import Any, TypeAlias

import pytest
import temporalio.client
import temporalio.worker._worker
from temporalio.worker import WorkerConfig

from dbosify import activity, workflow
from dbosify.client import Client, WorkflowFailureError
from dbosify.exceptions import ActivityError, ApplicationError
from dbosify.worker import UnsandboxedWorkflowRunner, Worker
from tests.fix_backend import Connect
from tests.ported_temporal.activity_calls import (
    failed_call,
    process_pool,
    start_call,
)
from tests.ported_temporal.scaffold import new_worker, random_id
from tests.waiting import eventually

Poll: TypeAlias = Callable[[], Awaitable[Any]]


@workflow.defn
class Simple:
    """Ends at once."""

    @workflow.run
    async def run(self) -> str:
        """End."""
        return "hi"


@activity.defn
async def nothing() -> None:
    """Do nothing."""


def test_load_default_worker_binary_id() -> None:
    load = temporalio.worker._worker.load_default_build_id
    assert load(memoize=False) == load(memoize=False)


def test_worker_config_matches_init_params() -> None:
    parameters = set(
        inspect.signature(temporalio.worker.Worker.__init__).parameters
    ) - {"self"}
    assert set(inspect.get_annotations(WorkerConfig)) == parameters


async def test_worker_cancel_run(client: Client) -> None:
    worker = new_worker(client, activities=[nothing])
    assert not worker.is_running
    assert not worker.is_shutdown
    running = asyncio.create_task(worker.run())

    async def is_running() -> None:
        assert worker.is_running

    await eventually(is_running)
    assert not worker.is_shutdown
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not worker.is_running
    assert worker.is_shutdown


async def test_worker_validate_fail(connect: Connect) -> None:
    elsewhere = await connect(namespace="default")
    config = elsewhere.config()
    config["namespace"] = f"unknown-{uuid.uuid4()}"
    worker = new_worker(Client(**config), activities=[nothing])
    with pytest.raises(RuntimeError, match=r"^Worker validation failed"):
        await worker.run()


@pytest.mark.parametrize("count", [0, -1])
async def test_worker_rejects_non_positive_max_eager_activity_reservations(
    client: Client, count: int
) -> None:
    with pytest.raises(
        ValueError,
        match="max_eager_activity_reservations_per_workflow_task must be positive; use"
        " disable_eager_activity_execution=True to disable eager activity execution",
    ):
        new_worker(
            client,
            activities=[nothing],
            max_eager_activity_reservations_per_workflow_task=count,
        )


async def test_worker_max_eager_activity_reservations_per_workflow_task_config(
    client: Client,
) -> None:
    worker = new_worker(
        client,
        activities=[nothing],
        max_eager_activity_reservations_per_workflow_task=7,
    )
    config = worker.config()
    assert config["max_eager_activity_reservations_per_workflow_task"] == 7


# A poll that fails ends the worker.


@activity.defn
async def unused() -> None:
    """Never called."""


def breaking(worker: Worker, *polls: str) -> RuntimeError:
    """Let the first of each of these polls fail, as if the core were broken."""
    error = RuntimeError("OH NO")
    core = worker._bridge_worker
    for poll in polls:
        setattr(core, poll, failing_once(getattr(core, poll), error))
    return error


def failing_once(poll: Poll, error: Exception) -> Poll:
    """A poll that raises, and afterwards does what it always did."""
    failures = chain([error], repeat(None))

    async def polled() -> Any:
        failure = next(failures)
        if failure is not None:
            raise failure
        return await poll()

    return polled


POLL_WORKFLOW, POLL_ACTIVITY = "poll_workflow_activation", "poll_activity_task"


@pytest.mark.parametrize(
    ("polls", "text"),
    [
        ((POLL_WORKFLOW,), "Workflow worker failed"),
        ((POLL_ACTIVITY,), "Activity worker failed"),
        ((POLL_WORKFLOW, POLL_ACTIVITY), "worker failed"),
    ],
)
async def test_worker_fatal_error_run(
    client: Client, polls: tuple[str, ...], text: str
) -> None:
    worker = new_worker(client, Simple, activities=[unused])
    error = breaking(worker, *polls)
    with pytest.raises(RuntimeError, match=f"{text}$") as failed:
        await worker.run()
    assert failed.value.__cause__ is error


async def for_ever() -> None:
    """Wait until cancelled."""
    await asyncio.get_running_loop().create_future()


async def test_worker_fatal_error_with(client: Client) -> None:
    worker = new_worker(client, Simple, activities=[unused])
    error = breaking(worker, POLL_WORKFLOW)
    with pytest.raises(RuntimeError, match=r"^Workflow worker failed$") as failed:
        async with worker:
            await for_ever()
    assert failed.value.__cause__ is error


async def test_worker_fatal_error_with_leaves_the_bodys_own_error_alone(
    client: Client,
) -> None:
    with pytest.raises(LookupError, match="mine"):
        async with new_worker(client, Simple, activities=[unused]):
            raise LookupError("mine")


async def test_worker_fatal_error_with_lets_what_the_body_made_of_it_win(
    client: Client,
) -> None:
    worker = new_worker(client, Simple, activities=[unused])
    breaking(worker, POLL_WORKFLOW)

    async def body() -> None:
        try:
            await for_ever()
        except asyncio.CancelledError as cancelled:
            raise RuntimeError("Caught cancel") from cancelled

    with pytest.raises(RuntimeError, match=r"^Caught cancel$") as failed:
        async with worker:
            await body()
    assert type(failed.value.__cause__) is asyncio.CancelledError


async def test_worker_fatal_error_callback(client: Client) -> None:
    told: list[BaseException] = []

    async def on_fatal_error(error: BaseException) -> None:
        told.append(error)

    worker = new_worker(
        client, Simple, activities=[unused], on_fatal_error=on_fatal_error
    )
    breaking(worker, POLL_WORKFLOW)
    with pytest.raises(RuntimeError) as failed:
        async with worker:
            await for_ever()
    assert told == [failed.value]


# What goes on when a worker is shut down.


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[Worker]:
    """A worker that the body may shut down."""
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        await worker.shutdown()
        await task


async def test_activity_worker_shutdown(client: Client, worker: Worker) -> None:
    started = asyncio.Event()

    @activity.defn
    async def wait_for_the_end() -> str:
        started.set()
        try:
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            return "Properly cancelled"

    async with running(new_worker(client, activities=[wait_for_the_end])) as called:
        handle = await start_call(worker, called, "wait_for_the_end")
        await started.wait()
    assert await handle.result() == "Properly cancelled"


async def test_activity_worker_shutdown_graceful(
    client: Client, worker: Worker
) -> None:
    started = asyncio.Event()

    @activity.defn
    async def wait_for_shutdown() -> str:
        started.set()
        await activity.wait_for_worker_shutdown()
        return "Worker graceful shutdown"

    async with running(
        new_worker(
            client,
            activities=[wait_for_shutdown],
            graceful_shutdown_timeout=timedelta(seconds=2),
        )
    ) as called:
        handle = await start_call(worker, called, "wait_for_shutdown")
        await started.wait()
    assert await handle.result() == "Worker graceful shutdown"


async def test_sync_activity_thread_cancel_on_worker_shutdown(
    client: Client, worker: Worker
) -> None:
    started = threading.Event()
    task_queue = random_id("queue")

    @activity.defn
    def never_ends() -> None:
        started.set()
        while True:  # a thread that is blocked can't be interrupted
            threading.Event().wait(0.05)

    with ThreadPoolExecutor() as pool:

        def called() -> Worker:
            return new_worker(
                client,
                activities=[never_ends],
                activity_executor=pool,
                max_concurrent_activities=2,
                task_queue=task_queue,
            )

        async with running(called()) as first:
            handle = await start_call(worker, first, "never_ends")
            await asyncio.to_thread(started.wait)
        async with running(called()):
            with pytest.raises(WorkflowFailureError) as failed:
                await handle.result()
    assert isinstance(failed.value.cause, ActivityError)
    cause = failed.value.cause.cause
    assert isinstance(cause, ApplicationError)
    assert "activity did not complete in time" in cause.message


@activity.defn
def say_that_it_runs_and_wait_for_shutdown(path: str) -> str:
    """Leave a file, wait for the worker's end."""
    with open(path, "w", encoding="ascii") as file:
        file.write("running")
    activity.wait_for_worker_shutdown_sync(20)
    return "Worker graceful shutdown"


async def test_sync_activity_process_worker_shutdown_graceful(
    client: Client, worker: Worker, tmp_path: Any
) -> None:
    path = tmp_path / "running"
    with process_pool() as options:
        async with running(
            new_worker(
                client,
                activities=[say_that_it_runs_and_wait_for_shutdown],
                graceful_shutdown_timeout=timedelta(seconds=2),
                **options,
            )
        ) as called:
            handle = await start_call(
                worker, called, "say_that_it_runs_and_wait_for_shutdown", str(path)
            )

            async def runs() -> None:
                assert path.exists()

            await eventually(runs)
        assert await handle.result() == "Worker graceful shutdown"


@activity.defn
def kill_own_process() -> None:
    """End as processes do when the machine has no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)


async def test_sync_activity_process_executor_crash(
    client: Client, worker: Worker
) -> None:
    with process_pool() as options:
        called = new_worker(client, activities=[kill_own_process], **options)
        task = asyncio.create_task(called.run())
        error = await failed_call(await start_call(worker, called, "kill_own_process"))
        assert isinstance(error, ApplicationError)
        assert error.type == "BrokenProcessPool"
        with pytest.raises(RuntimeError, match=r"^Activity worker failed$") as failed:
            await asyncio.wait_for(task, 10)
    assert type(failed.value.__cause__).__name__ == "BrokenProcessPool"


# A worker's client.


async def test_activity_client_updates_when_worker_client_changes(
    client: Client, connect: Connect, worker: Worker
) -> None:
    seen: list[temporalio.client.Client] = []

    @activity.defn
    async def note_client() -> None:
        seen.append(activity.client())

    second = await connect()
    called = new_worker(client, activities=[note_client])
    async with called:
        await (await start_call(worker, called, "note_client")).result()
        called.client = second
        await (await start_call(worker, called, "note_client")).result()
    assert [id(each) for each in seen] == [id(client), id(second)]


# Where workflow code runs.


@workflow.defn(sandboxed=False)
class TellThread:
    """Says in which thread it runs."""

    @workflow.run
    async def run(self) -> str:
        """Give the thread's name."""
        return threading.current_thread().name


async def told_thread(client: Client, **options: Any) -> str:
    """The thread of a workflow on a worker with these options."""
    async with new_worker(
        client, TellThread, workflow_runner=UnsandboxedWorkflowRunner(), **options
    ) as worker:
        return await client.execute_workflow(
            TellThread.run, id=random_id(), task_queue=worker.task_queue
        )


async def test_workflow_runs_on_pool_thread_without_debug_mode(client: Client) -> None:
    assert (await told_thread(client)).startswith("temporal_workflow_")


async def test_workflow_runs_on_main_thread_in_debug_mode(client: Client) -> None:
    name = await told_thread(client, debug_mode=True)
    assert name == threading.main_thread().name


def deadlock_timeout(worker: Worker) -> float | None:
    """Seconds that a worker's workflow code may take without a pause."""
    assert worker._workflow_worker is not None
    return worker._workflow_worker._deadlock_timeout_seconds


@pytest.mark.parametrize("way", ["option", "environment"])
async def test_worker_debug_mode(
    client: Client, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.delenv("TEMPORAL_DEBUG", raising=False)
    assert deadlock_timeout(new_worker(client, Simple)) == 2
    if way == "environment":
        monkeypatch.setenv("TEMPORAL_DEBUG", "true")
    worker = new_worker(client, Simple, debug_mode=way == "option")
    assert deadlock_timeout(worker) is None
