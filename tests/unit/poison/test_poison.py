"""A run that cannot go on says why, can be ended, and keeps no other from going on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from dbosify.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from dbosify.api.enums.v1 import EventType, WorkflowTaskFailedCause
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.workflowservice.v1 import (
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)
from dbosify.client import Client, WorkflowExecutionStatus, WorkflowHandle
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import Worker
from tests.fix_postgres import FreshDatabase
from tests.unit.face.greeting import WORKFLOWS, greeted, random_name, started
from tests.unit.face.workflows import Patient, greet
from tests.unit.poison.hostages import (
    Blocks,
    LosesPatience,
    Raises,
    Takes,
    never_stops,
)
from tests.waiting import eventually

pytestmark = pytest.mark.oracle_exempt("its runs are made to go wrong")

PATIENCE = 30
UNHANDLED = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
)


@pytest.fixture
def url(fresh_database: FreshDatabase) -> str:
    return fresh_database()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """A client that gives its connections back."""
    client = await Client.connect(url)
    try:
        yield client
    finally:
        await client.close()


def worker_of(client: Client) -> Worker:
    """A worker of the good and the bad, which does one thing at a time."""
    return Worker(
        client,
        task_queue="queue",
        workflows=[*WORKFLOWS, Blocks, LosesPatience, Raises, Takes],
        activities=[greet, never_stops],
        build_id="poison",
        max_concurrent_workflow_tasks=2,
        graceful_shutdown_timeout=timedelta(0),
    )


def change(url: str, statement: str, *values: object) -> None:
    """Do by hand what dbosify never does."""
    with psycopg.connect(url, autocommit=True) as link:
        changed = link.execute(statement.encode(), values)
        assert changed.rowcount > 0


async def failure_of(handle: WorkflowHandle[Any, Any]) -> tuple[int, str]:
    """Why the run's workflow task fails, once it does."""

    async def failed() -> tuple[int, str]:
        for event in (await handle.fetch_history()).events:
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                failed = event.workflow_task_failed_event_attributes
                return failed.cause, failed.failure.message
        raise AssertionError("no task has failed yet")

    return await eventually(failed, patience=PATIENCE)


async def can_be_ended(handle: WorkflowHandle[Any, Any]) -> None:
    await handle.terminate("of no use")
    described = await handle.describe()
    assert described.status == WorkflowExecutionStatus.TERMINATED


async def begun_with(client: Client, kind: str, *payloads: Payload) -> str:
    """Start a workflow with payloads that no converter has made."""
    workflow_id = random_name("poison")
    await client.workflow_service.start_workflow_execution(
        StartWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_id=workflow_id,
            workflow_type=WorkflowType(name=kind),
            task_queue=TaskQueue(name="queue"),
            input=Payloads(payloads=payloads),
            request_id=workflow_id,
        )
    )
    return workflow_id


@pytest.mark.parametrize(
    ("kind", "argument", "expected"),
    [
        ("Unheard", None, "Workflow class Unheard is not registered on this worker"),
        (
            "Takes",
            Payload(metadata={"encoding": b"json/plain"}, data=b'"no number'),
            "Failed decoding arguments",
        ),
        (
            "Takes",
            Payload(metadata={"encoding": b"of/nobody"}, data=b"\xff"),
            "Failed decoding arguments",
        ),
        ("Raises", None, "'a mistake in the code'"),
        ("Blocks", None, "[TMPRL1101] Potential deadlock detected"),
    ],
    ids=["unknown type", "broken payload", "unknown encoding", "raises", "blocks"],
)
async def test_a_task_that_cannot_be_done_says_why_and_others_are(
    url: str, kind: str, argument: Payload | None, expected: str
) -> None:
    async with connected(url) as client, worker_of(client):
        given = [] if argument is None else [argument]
        handle = client.get_workflow_handle(await begun_with(client, kind, *given))
        cause, message = await failure_of(handle)
        assert cause == UNHANDLED
        assert message.startswith(expected)
        assert await greeted(client, "queue") == "Hello, Ada!"
        await can_be_ended(handle)
        assert await greeted(client, "queue") == "Hello, Ada!"


async def test_a_signal_that_cannot_be_decoded_is_dropped_and_logged(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(url) as client, worker_of(client):
        handle = await started(client, "queue")
        broken = Payload(metadata={"encoding": b"json/plain"}, data=b'"no end')
        await client.workflow_service.signal_workflow_execution(
            SignalWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=handle.id),
                signal_name="say",
                input=Payloads(payloads=[broken]),
            )
        )
        await handle.signal(Patient.say, "word")
        assert await handle.result() == "word"
        assert "dropping the signal" in caplog.text


async def test_an_activity_that_will_not_end_keeps_no_workflow_waiting(
    url: str,
) -> None:
    async with connected(url) as client, worker_of(client):
        result = await client.execute_workflow(
            LosesPatience.run, id=random_name("poison"), task_queue="queue"
        )
        assert result == "went on"
        assert await greeted(client, "queue") == "Hello, Ada!"


STEP = "UPDATE dbos.operation_outputs SET output = {} WHERE workflow_uuid = %s"
GONE = "DELETE FROM dbos.operation_outputs WHERE workflow_uuid = %s AND function_id = 0"
START = "UPDATE dbos.dbosify_executions SET started_event = {} WHERE workflow_uuid = %s"


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (STEP.format("left(output, length(output) / 2)"), "a step in the journal"),
        (STEP.format("'garbage'"), "a step in the journal"),
        (STEP.format("""'{{"history": "Z2FyYmFnZQ=="}}'"""), "a step in the journal"),
        (GONE, "steps of the journal of the run are missing"),
        (START.format("substr(started_event, 1, 20)"), "the start in the journal"),
        (START.format("'\\x6761726261'"), "the start in the journal"),
        (START.format("''"), "the start in the journal"),
    ],
    ids=[
        "a step cut off",
        "a step of garbage",
        "a step of another kind",
        "a step missing",
        "a start cut off",
        "a start of garbage",
        "no start",
    ],
)
async def test_a_damaged_journal_is_told_and_keeps_no_other_run_waiting(
    url: str, statement: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(url) as client:
        handle = await started(client, "queue")
        async with worker_of(client):
            for _ in range(2):
                await handle.query(Patient.waits)
            await handle.signal("unheard of")
            await until_it_has_steps(url, handle, 2)
        uuid = f"{handle.id}/{handle.first_execution_run_id}"
        change(url, statement.replace("{{", "{").replace("}}", "}"), uuid)
        await handle.signal(Patient.say, "word")

        async def is_logged() -> None:
            assert told in caplog.text
            assert uuid in caplog.text

        async with worker_of(client):
            await eventually(is_logged, patience=PATIENCE)
            assert await greeted(client, "queue") == "Hello, Ada!"
            with pytest.raises(RPCError, match=told) as refused:
                await handle.fetch_history()
            assert refused.value.status == RPCStatusCode.DATA_LOSS
            await handle.terminate("of no use")
            assert [
                run.status
                async for run in client.list_workflows(f"WorkflowId = '{handle.id}'")
            ] == [WorkflowExecutionStatus.TERMINATED]
            assert await greeted(client, "queue") == "Hello, Ada!"


async def until_it_has_steps(
    url: str, handle: WorkflowHandle[Any, Any], count: int
) -> None:
    async def has() -> None:
        with psycopg.connect(url) as link:
            rows = link.execute(
                "SELECT function_id FROM dbos.operation_outputs"
                " WHERE workflow_uuid = %s",
                [f"{handle.id}/{handle.first_execution_run_id}"],
            ).fetchall()
        assert len(rows) >= count

    await eventually(has, patience=PATIENCE)


async def test_a_damaged_message_keeps_no_other_run_from_its_own(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(url) as client:
        damaged, healthy = (
            await started(client, "queue"),
            await started(client, "queue"),
        )
        await damaged.signal(Patient.say, "never heard")
        change(
            url,
            "UPDATE dbos.notifications SET message = 'garbage'"
            " WHERE destination_uuid = %s",
            f"{damaged.id}/{damaged.first_execution_run_id}",
        )
        await healthy.signal(Patient.say, "word")
        async with worker_of(client):
            assert await healthy.result() == "word"

            async def is_logged() -> None:
                assert "inbox of the run is damaged" in caplog.text

            await eventually(is_logged, patience=PATIENCE)
            await can_be_ended(damaged)
            assert await greeted(client, "queue") == "Hello, Ada!"
