"""DBOS's own tools see runs and their steps, and what they do to one is understood."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import dbos
import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from dbosify.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from dbosify.exceptions import TerminatedError
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import Worker
from tests.unit.face.greeting import random_name, served, started
from tests.unit.face.workflows import Failing, Greeting, Patient, Story
from tests.waiting import eventually


@pytest.fixture
def tools(postgres_url: str, client: Client) -> Iterator[dbos.DBOSClient]:
    """A DBOS client, as an operator has it."""
    tools = dbos.DBOSClient(
        system_database_url=postgres_url,
        serializer=dbos.DBOSPortableJSONSerializer(),
    )
    yield tools
    tools.destroy()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def worker(client: Client) -> AsyncIterator[Any]:
    """A worker of the workflows."""
    async with served(client) as worker:
        yield worker


def uuid_of(handle: WorkflowHandle[Any, Any]) -> str:
    return f"{handle.id}/{handle.result_run_id}"


async def status_of(tools: dbos.DBOSClient, uuid: str) -> dbos.WorkflowStatus:
    found = await asyncio.to_thread(tools.list_workflows, workflow_ids=[uuid])
    assert [status.workflow_id for status in found] == [uuid]
    return found[0]


async def names_of_steps(tools: dbos.DBOSClient, uuid: str) -> list[str]:
    steps = await asyncio.to_thread(tools.list_workflow_steps, uuid)
    assert [step["function_id"] for step in steps] == [*range(len(steps))]
    return [step["function_name"] for step in steps]


async def test_a_run_and_its_story_can_be_read(
    tools: dbos.DBOSClient, client: Client, worker: Worker
) -> None:
    handle = await client.start_workflow(
        Story.run, "Ada", id=random_name(), task_queue=worker.task_queue
    )
    await handle.signal(Story.say, "please")
    result = await handle.result()
    assert result == {"greeting": "Hello, Ada!", "word": "please"}

    status = await status_of(tools, uuid_of(handle))
    assert status.name == "Story"
    assert status.status == "SUCCESS"
    assert status.queue_name == worker.task_queue
    assert status.input == {"args": ("Ada",), "kwargs": {}}
    assert status.output == result
    assert status.error is None
    names = await names_of_steps(tools, uuid_of(handle))
    # The signal may have come before the first workflow task, which then is its step.
    assert {*names} - {"start"} == {"activity greet", "signal say", "timer 0.01s"}


async def test_the_steps_of_a_run_are_named_in_order(
    tools: dbos.DBOSClient, client: Client, worker: Worker
) -> None:
    handle = await client.start_workflow(
        Greeting.run, "Ada", id=random_name(), task_queue=worker.task_queue
    )
    await handle.result()
    assert await names_of_steps(tools, uuid_of(handle)) == ["start", "activity greet"]


async def test_a_failed_run_can_be_read(
    tools: dbos.DBOSClient, client: Client, worker: Worker
) -> None:
    handle = await client.start_workflow(
        Failing.run, id=random_name(), task_queue=worker.task_queue
    )
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    status = await status_of(tools, uuid_of(handle))
    assert (status.name, status.status) == ("Failing", "ERROR")
    assert status.output is None
    assert "no luck today" in str(status.error)


async def test_an_open_run_is_listed_by_where_it_stands(
    tools: dbos.DBOSClient, client: Client
) -> None:
    handle = await started(client)
    uuid = uuid_of(handle)
    assert (await status_of(tools, uuid)).status == "ENQUEUED"
    queue = (await handle.describe()).task_queue
    async with served(client, task_queue=queue):
        assert await handle.query(Patient.waits)
        cached = await status_of(tools, uuid)
        assert cached.status == "PENDING"
        assert (cached.executor_id or "").startswith("dbosify-")
    assert (await status_of(tools, uuid)).status == "DELAYED"
    await handle.terminate()
    assert (await status_of(tools, uuid)).status == "CANCELLED"


async def test_an_activity_that_waits_is_listed_under_its_run(
    tools: dbos.DBOSClient, client: Client
) -> None:
    task_queue = random_name("queue")
    async with Worker(
        client, task_queue=task_queue, workflows=[Greeting], build_id="face"
    ):
        handle = await client.start_workflow(
            Greeting.run, "Ada", id=random_name(), task_queue=task_queue
        )

        async def scheduled() -> dbos.WorkflowStatus:
            return await status_of(tools, f"{uuid_of(handle)}/activity/5")

        status = await eventually(scheduled)
    assert (status.name, status.status) == ("greet", "ENQUEUED")
    assert status.parent_workflow_id == uuid_of(handle)
    async with served(client, task_queue=task_queue):
        assert await handle.result() == "Hello, Ada!"
        assert (await scheduled()).status == "SUCCESS"


async def assert_terminated(handle: WorkflowHandle[Any, Any]) -> None:
    described = await handle.describe()
    assert described.status == WorkflowExecutionStatus.TERMINATED
    assert described.close_time is not None
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, TerminatedError)
    history = await handle.fetch_history()
    last = history.events[-1].workflow_execution_terminated_event_attributes
    assert last.reason == "cancelled through DBOS"


@pytest.mark.parametrize("read_by", ["describe", "result", "history", "query"])
async def test_cancelling_through_dbos_terminates_a_cached_run(
    tools: dbos.DBOSClient, client: Client, worker: Worker, read_by: str
) -> None:
    handle = await started(client, worker.task_queue)
    assert await handle.query(Patient.waits)
    await asyncio.to_thread(tools.cancel_workflow, uuid_of(handle))
    match read_by:
        case "describe":
            await handle.describe()
        case "result":
            with pytest.raises(WorkflowFailureError):
                await handle.result()
        case "history":
            await handle.fetch_history()
        case "query":
            assert await handle.query(Patient.waits)
    await assert_terminated(handle)


async def test_cancelling_through_dbos_ends_a_wait_that_has_begun(
    tools: dbos.DBOSClient, client: Client, worker: Worker
) -> None:
    handle = await started(client, worker.task_queue)
    result = asyncio.ensure_future(handle.result())
    assert await handle.query(Patient.waits)
    await asyncio.to_thread(tools.cancel_workflow, uuid_of(handle))
    with pytest.raises(WorkflowFailureError) as caught:
        await result
    assert isinstance(caught.value.cause, TerminatedError)


async def test_cancelling_through_dbos_terminates_a_queued_run(
    tools: dbos.DBOSClient, client: Client
) -> None:
    handle = await started(client)
    await asyncio.to_thread(tools.cancel_workflow, uuid_of(handle))
    await assert_terminated(handle)


async def test_cancelling_through_dbos_terminates_a_parked_run(
    tools: dbos.DBOSClient, client: Client
) -> None:
    async with served(client) as worker:
        handle = await started(client, worker.task_queue)
        assert await handle.query(Patient.waits)
    await asyncio.to_thread(tools.cancel_workflow, uuid_of(handle))
    await assert_terminated(handle)


async def test_a_run_cancelled_through_dbos_takes_no_signal(
    tools: dbos.DBOSClient, client: Client, worker: Worker
) -> None:
    handle = await started(client, worker.task_queue)
    assert await handle.query(Patient.waits)
    await asyncio.to_thread(tools.cancel_workflow, uuid_of(handle))
    with pytest.raises(RPCError) as caught:
        await handle.signal(Patient.say, "too late")
    assert caught.value.status == RPCStatusCode.NOT_FOUND
    await assert_terminated(handle)


async def test_a_run_cancelled_through_dbos_frees_its_id(
    tools: dbos.DBOSClient, client: Client, worker: Worker
) -> None:
    handle = await started(client, worker.task_queue)
    assert await handle.query(Patient.waits)
    await asyncio.to_thread(tools.cancel_workflow, uuid_of(handle))
    again = await client.execute_workflow(
        Greeting.run, "Ada", id=handle.id, task_queue=worker.task_queue
    )
    assert again == "Hello, Ada!"


async def test_nothing_is_pickled(
    postgres_url: str, client: Client, worker: Worker
) -> None:
    handle = await client.start_workflow(
        Story.run, "Ada", id=random_name(), task_queue=worker.task_queue
    )
    await handle.signal(Story.say, "please")
    await handle.result()
    with psycopg.connect(postgres_url) as connection:
        columns = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.columns"
            " WHERE column_name = 'serialization' AND table_schema LIKE 'dbos%'"
        ).fetchall()
        formats: set[str | None] = set()
        for table in columns:
            query = sql.SQL("SELECT DISTINCT serialization FROM {}").format(
                sql.Identifier(*table)
            )
            formats.update(row[0] for row in connection.execute(query))
    assert len(columns) >= 3
    assert formats == {"portable_json"}


async def test_every_stored_value_is_json(
    postgres_url: str, client: Client, worker: Worker
) -> None:
    handle = await client.start_workflow(
        Story.run, "Ada", id=random_name(), task_queue=worker.task_queue
    )
    await handle.signal(Story.say, "please")
    await handle.result()
    uuid = uuid_of(handle)
    with psycopg.connect(postgres_url) as connection:
        rows = connection.execute(
            "SELECT inputs FROM dbos.workflow_input WHERE workflow_uuid = %(uuid)s"
            " UNION ALL"
            " SELECT output FROM dbos.workflow_output WHERE workflow_uuid = %(uuid)s"
            " UNION ALL"
            " SELECT output FROM dbos.operation_outputs WHERE workflow_uuid = %(uuid)s"
            " UNION ALL"
            " SELECT message FROM dbos.notifications WHERE destination_uuid = %(uuid)s",
            {"uuid": uuid},
        ).fetchall()
    assert len(rows) >= 5
    assert all(json.loads(value) is not None for (value,) in rows)


async def test_the_id_of_a_run_deleted_through_dbos_is_free_again(
    tools: dbos.DBOSClient, client: Client
) -> None:
    deleted = await started(client)
    await asyncio.to_thread(tools.delete_workflow, uuid_of(deleted))
    again = await client.start_workflow(
        Patient.run, id=deleted.id, task_queue=random_name("queue")
    )
    assert again.result_run_id != deleted.result_run_id
    assert (await again.describe()).status == WorkflowExecutionStatus.RUNNING


async def test_what_was_done_through_dbos_shows_in_lists(
    tools: dbos.DBOSClient, client: Client
) -> None:
    cancelled, deleted = await started(client), await started(client)
    await asyncio.to_thread(tools.cancel_workflow, uuid_of(cancelled))
    await asyncio.to_thread(tools.delete_workflow, uuid_of(deleted))
    query = f"WorkflowId IN ('{cancelled.id}', '{deleted.id}')"
    runs = [run async for run in client.list_workflows(query)]
    assert [run.id for run in runs] == [cancelled.id]
    assert runs[0].status == WorkflowExecutionStatus.TERMINATED
    assert runs[0].close_time is not None
