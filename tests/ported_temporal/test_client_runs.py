"""How a handle finds its way through the runs of a workflow and their histories."""

import asyncio
from typing import Any

import pytest

from dbosify import workflow
from dbosify.api.enums.v1 import EventType
from dbosify.client import (
    Client,
    WorkflowContinuedAsNewError,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowHistoryEventFilterType,
)
from dbosify.exceptions import CancelledError
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import Worker
from tests.ported_temporal.kitchen_sink import (
    Action,
    AwaitSignal,
    ContinueAsNew,
    KitchenSinkWorkflow,
    Result,
    Script,
)
from tests.ported_temporal.scaffold import event_types_of, new_worker, random_id

THREE_RUNS = Script(
    [
        Action(continue_as_new=ContinueAsNew(2)),
        Action(result=Result(run_id=True)),
    ]
)
"""Continues as new twice; the last run gives its own run id."""

UNTIL_SIGNALLED = Script(action_signal="act")


async def start(
    client: Client, worker: Worker, script: Script, workflow_id: str | None = None
) -> WorkflowHandle[KitchenSinkWorkflow, Any]:
    """Start a kitchen sink."""
    return await client.start_workflow(
        KitchenSinkWorkflow.run,
        script,
        id=workflow_id or random_id(),
        task_queue=worker.task_queue,
    )


def at_run(
    client: Client, handle: WorkflowHandle[Any, Any], run_id: str | None
) -> WorkflowHandle[Any, Any]:
    """A handle of exactly that run."""
    return client.get_workflow_handle(handle.id, run_id=run_id)


async def test_result_follows_continued_runs_unless_told_not_to(
    client: Client, worker: Worker
) -> None:
    handle = await start(client, worker, THREE_RUNS)
    last_run_id = await handle.result()
    assert last_run_id != handle.result_run_id

    with pytest.raises(WorkflowContinuedAsNewError) as continued:
        await handle.result(follow_runs=False)
    second_run_id = continued.value.new_execution_run_id
    assert second_run_id not in (handle.result_run_id, last_run_id)

    with pytest.raises(WorkflowContinuedAsNewError) as continued_again:
        await at_run(client, handle, second_run_id).result(follow_runs=False)
    assert continued_again.value.new_execution_run_id == last_run_id


async def test_handle_without_a_run_id_means_the_newest_run(
    client: Client, worker: Worker
) -> None:
    first = await start(client, worker, Script([Action(result=Result("first"))]))
    assert await first.result() == "first"
    second = await start(
        client, worker, Script([Action(result=Result("second"))]), first.id
    )
    assert await second.result() == "second"

    newest = client.get_workflow_handle(first.id)
    assert await newest.result() == "second"
    assert (await newest.describe()).run_id == second.result_run_id
    older = at_run(client, first, first.result_run_id)
    assert await older.result() == "first"
    assert (await older.describe()).run_id == first.result_run_id


async def test_result_waits_for_a_run_that_is_still_open(
    client: Client, worker: Worker
) -> None:
    handle = await start(client, worker, UNTIL_SIGNALLED)
    waiting = asyncio.create_task(handle.result())
    assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
    assert not waiting.done()
    await handle.signal("act", Action(result=Result("done")))
    assert await waiting == "done"


async def test_result_of_an_unknown_workflow_is_not_found(client: Client) -> None:
    workflow_id = random_id()
    with pytest.raises(RPCError) as refused:
        await client.get_workflow_handle(workflow_id).result()
    assert refused.value.status == RPCStatusCode.NOT_FOUND
    assert str(refused.value) == f"workflow not found for ID: {workflow_id}"


async def test_cancel_reaches_the_workflow_and_ends_as_cancelled(
    client: Client, worker: Worker
) -> None:
    handle = await start(
        client, worker, Script([Action(await_signal=AwaitSignal("never"))])
    )
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, CancelledError)
    assert str(failed.value.cause) == "Workflow cancelled"
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    # It is too late, but asking again is no error.
    await handle.cancel()


async def test_handle_of_a_start_reaches_only_its_own_chain_of_runs(
    client: Client, worker: Worker
) -> None:
    first = await start(client, worker, Script([Action(result=Result("first"))]))
    await first.result()
    second = await start(client, worker, UNTIL_SIGNALLED, first.id)

    for too_late in (first.cancel, first.terminate):
        with pytest.raises(RPCError) as refused:
            await too_late()
        assert refused.value.status == RPCStatusCode.NOT_FOUND
        assert str(refused.value) == "workflow execution not found"
    assert (await second.describe()).status == WorkflowExecutionStatus.RUNNING
    await second.terminate()
    assert (await second.describe()).status == WorkflowExecutionStatus.TERMINATED


async def test_history_is_whole_and_dense_whatever_the_page_size(
    client: Client, worker: Worker
) -> None:
    handle = await start(client, worker, Script([Action(result=Result("done"))]))
    await handle.result()
    history = await handle.fetch_history()
    assert history.workflow_id == handle.id
    ids = [event.event_id for event in history.events]
    assert ids == [1, 2, 3, 4, 5]
    for page_size in (1, 2, 100):
        paged = [
            event async for event in handle.fetch_history_events(page_size=page_size)
        ]
        assert paged == list(history.events)


async def test_history_can_be_followed_until_the_run_closes(
    client: Client, worker: Worker
) -> None:
    handle = await start(client, worker, UNTIL_SIGNALLED)
    seen: list[str] = []
    async for event in handle.fetch_history_events(wait_new_event=True):
        name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
        seen.append(name)
        if name == "WORKFLOW_TASK_COMPLETED" and len(seen) == 4:
            await handle.signal("act", Action(result=Result("done")))
    assert seen[-1] == "WORKFLOW_EXECUTION_COMPLETED"
    assert seen == await event_types_of(handle)


async def test_history_filtered_to_the_close_event_holds_nothing_else(
    client: Client, worker: Worker
) -> None:
    handle = await start(client, worker, UNTIL_SIGNALLED)
    await handle.signal("act", Action(result=Result("done")))
    await handle.result()
    closing = [
        event.event_type
        async for event in handle.fetch_history_events(
            event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT
        )
    ]
    assert closing == [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED]


@workflow.defn
class LastWordsWorkflow:
    """Changes what describe shows of it in the very task that ends it."""

    @workflow.run
    async def run(self) -> None:
        workflow.upsert_memo({"kept": "new", "dropped": None, "added": 1})


async def test_a_memo_changed_in_the_last_task_is_shown(client: Client) -> None:
    async with new_worker(client, LastWordsWorkflow) as worker:
        handle = await client.start_workflow(
            LastWordsWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            memo={"kept": "old", "dropped": "old"},
        )
        await handle.result()
        assert await (await handle.describe()).memo() == {"kept": "new", "added": 1}
