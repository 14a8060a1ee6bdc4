"""Histories that dbosify exports mean the same to Temporal's own replayer."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowHistory,
)
from dbosify.exceptions import ApplicationError
from dbosify.worker import Replayer, Worker
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    new_worker,
    random_id,
)


@activity.defn
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@dataclass
class Wish:
    """How a run should go."""

    name: str
    wait: bool = False
    fail: bool = False
    change: bool = False


@workflow.defn
class GreetingWorkflow:
    """Greets, and then does what it is told to."""

    def __init__(self) -> None:
        self._waiting = False
        self._finish = False

    @workflow.run
    async def run(self, wish: Wish) -> str:
        result = await workflow.execute_activity(
            greet, wish.name, schedule_to_close_timeout=timedelta(seconds=60)
        )
        if wish.wait:
            self._waiting = True
            await workflow.wait_condition(lambda: self._finish)
            self._waiting = False
        if wish.fail:
            raise ApplicationError("Intentional error")
        if wish.change and workflow.unsafe.is_replaying():
            await workflow.sleep(0.1)
        return result

    @workflow.signal
    def finish(self) -> None:
        self._finish = True

    @workflow.query
    def waiting(self) -> bool:
        return self._waiting


def greeter(client: Client) -> Worker:
    """A worker of the greeting."""
    return new_worker(client, GreetingWorkflow, activities=[greet])


async def start(client: Client, worker: Worker, wish: Wish) -> WorkflowHandle[Any, str]:
    """Start a greeting."""
    return await client.start_workflow(
        GreetingWorkflow.run, wish, id=random_id(), task_queue=worker.task_queue
    )


async def test_replayer_workflow_complete(client: Client) -> None:
    async with greeter(client) as worker:
        handle = await start(client, worker, Wish("Temporal"))
        assert await handle.result() == "Hello, Temporal!"
    replayer = Replayer(workflows=[GreetingWorkflow])
    await replayer.replay_workflow(await handle.fetch_history())


async def test_replayer_workflow_complete_json(client: Client) -> None:
    async with greeter(client) as worker:
        handle = await start(client, worker, Wish("Temporal"))
        await handle.result()
    text = (await handle.fetch_history()).to_json()
    history = WorkflowHistory.from_json("fake", text)
    await Replayer(workflows=[GreetingWorkflow]).replay_workflow(history)


async def test_replayer_workflow_incomplete(client: Client) -> None:
    async with greeter(client) as worker:
        handle = await start(client, worker, Wish("Temporal", wait=True))

        async def waiting() -> bool:
            return await handle.query(GreetingWorkflow.waiting)

        await assert_eq_eventually(True, waiting)
    replayer = Replayer(workflows=[GreetingWorkflow])
    await replayer.replay_workflow(await handle.fetch_history())
    await handle.terminate("replayed")


async def test_replayer_workflow_failed(client: Client) -> None:
    async with greeter(client) as worker:
        handle = await start(client, worker, Wish("Temporal", fail=True))
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.message == "Intentional error"
    replayer = Replayer(workflows=[GreetingWorkflow])
    await replayer.replay_workflow(await handle.fetch_history())


@pytest.mark.oracle_exempt("the code replays differently on purpose")
async def test_replayer_workflow_nondeterministic(client: Client) -> None:
    async with greeter(client) as worker:
        handle = await start(client, worker, Wish("Temporal", change=True))
        await handle.result()
    history = await handle.fetch_history()
    with pytest.raises(workflow.NondeterminismError):
        await Replayer(workflows=[GreetingWorkflow]).replay_workflow(history)


@workflow.defn
class AnotherWorkflow:
    @workflow.run
    async def run(self) -> None:
        raise AssertionError("nobody starts it")


async def test_replayer_workflow_not_registered(client: Client) -> None:
    async with greeter(client) as worker:
        handle = await start(client, worker, Wish("Temporal"))
        await handle.result()
    with pytest.raises(RuntimeError, match="GreetingWorkflow is not registered"):
        await Replayer(workflows=[AnotherWorkflow]).replay_workflow(
            await handle.fetch_history()
        )


async def several(
    client: Client, *wishes: Wish
) -> tuple[str, dict[str, WorkflowHandle[Any, str]]]:
    """Runs of one workflow id, one after the other, by run id."""
    workflow_id = random_id()
    runs: dict[str, WorkflowHandle[Any, str]] = {}
    async with greeter(client) as worker:
        for wish in wishes:
            handle = await client.start_workflow(
                GreetingWorkflow.run,
                wish,
                id=workflow_id,
                task_queue=worker.task_queue,
            )
            await handle.result()
            assert handle.first_execution_run_id is not None
            run_id = handle.first_execution_run_id
            runs[run_id] = client.get_workflow_handle_for(
                GreetingWorkflow.run, workflow_id, run_id=run_id
            )
    return workflow_id, runs


@pytest.mark.oracle_exempt("the code replays differently on purpose")
async def test_replayer_multiple_histories_fail_fast(client: Client) -> None:
    _, runs = await several(client, Wish("one", change=True), Wish("two"))
    histories = [await handle.fetch_history() for handle in runs.values()]
    asked = 0

    async def one_by_one() -> AsyncIterator[WorkflowHistory]:
        nonlocal asked
        for history in histories:
            asked += 1
            yield history

    with pytest.raises(workflow.NondeterminismError):
        await Replayer(workflows=[GreetingWorkflow]).replay_workflows(one_by_one())
    assert asked == 1


@pytest.mark.oracle_exempt("the code replays differently on purpose")
async def test_replayer_multiple_histories_fail_slow(client: Client) -> None:
    _, runs = await several(client, Wish("a", change=True), Wish("b"), Wish("c"))
    bad = next(iter(runs))
    histories = [await handle.fetch_history() for handle in runs.values()]
    asked = 0

    async def one_by_one() -> AsyncIterator[WorkflowHistory]:
        nonlocal asked
        for history in histories:
            asked += 1
            yield history

    results = await Replayer(workflows=[GreetingWorkflow]).replay_workflows(
        one_by_one(), raise_on_replay_failure=False
    )
    assert asked == 3
    assert set(results.replay_failures) == {bad}


@pytest.mark.needs("visibility")
@pytest.mark.oracle_exempt("the code replays differently on purpose")
async def test_replayer_multiple_from_client(client: Client) -> None:
    changes = [False, True, False, True, False]
    workflow_id, runs = await several(
        client, *[Wish("Temporal", change=change) for change in changes]
    )
    query = f"WorkflowId = '{workflow_id}'"

    async def visible() -> int:
        return len([run async for run in client.list_workflows(query)])

    await assert_eq_eventually(len(changes), visible)
    found: dict[str, bool] = {}
    histories = client.list_workflows(query).map_histories()
    replayer = Replayer(workflows=[GreetingWorkflow])
    async with replayer.workflow_replay_iterator(histories) as results:
        async for result in results:
            failure = result.replay_failure
            found[result.history.run_id] = isinstance(
                failure, workflow.NondeterminismError
            )
    assert found == dict(zip(runs, changes, strict=True))
