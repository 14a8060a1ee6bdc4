"""Workflows that call Nexus operations, answered at once or by another workflow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timezone
from typing import Any

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import nexus, workflow
from dbosify.api.enums.v1 import EventType
from dbosify.client import Client, WorkflowHandle
from tests.ported_temporal.nexus_calls import served
from tests.ported_temporal.scaffold import events_of, random_id

pytestmark = pytest.mark.needs("nexus operations")


@dataclass
class Question:
    """What is asked."""

    text: str
    workflow_id: str = ""


@dataclass
class Answer:
    """What comes back."""

    text: str


@nexusrpc.service
class Oracle:
    """Answers."""

    at_once: nexusrpc.Operation[Question, Answer]
    by_workflow: nexusrpc.Operation[Question, Answer]
    about: nexusrpc.Operation[None, dict[str, str]]


@workflow.defn
class Thinks:
    """The workflow behind an operation."""

    @workflow.run
    async def run(self, question: Question) -> Answer:
        """Answer."""
        return Answer(f"{question.text}, I think")


@nexusrpc.handler.service_handler(service=Oracle)
class OracleHandler:
    """Its handler."""

    def __init__(self) -> None:
        """No call has come."""
        self.deadlines: list[Any] = []

    @nexusrpc.handler.sync_operation
    async def at_once(
        self, ctx: nexusrpc.handler.StartOperationContext, question: Question
    ) -> Answer:
        """Answer at once."""
        self.deadlines.append(ctx.request_deadline)
        return Answer(f"{question.text}!")

    @nexus.workflow_run_operation
    async def by_workflow(
        self, ctx: nexus.WorkflowRunOperationContext, question: Question
    ) -> nexus.WorkflowHandle[Answer]:
        """Let a workflow answer."""
        self.deadlines.append(ctx.request_deadline)
        return await ctx.start_workflow(
            Thinks.run, question, id=question.workflow_id or random_id()
        )

    @nexusrpc.handler.sync_operation
    async def about(
        self, ctx: nexusrpc.handler.StartOperationContext, _: None
    ) -> dict[str, str]:
        """What it knows of itself."""
        info = nexus.info()
        return {
            "endpoint": info.endpoint,
            "namespace": info.namespace,
            "task_queue": info.task_queue,
        }


@workflow.defn
class Asks:
    """Calls an operation; gives what comes back, and whether there was a token."""

    @workflow.run
    async def run(self, endpoint: str, operation: str, question: Question) -> list[Any]:
        """Ask."""
        client = workflow.create_nexus_client(service=Oracle, endpoint=endpoint)
        wanted = Oracle.at_once if operation == "at_once" else Oracle.by_workflow
        handle = await client.start_operation(
            wanted, question, headers={"Asked-By": "me"}, summary="a question"
        )
        answer = await handle
        return [answer.text, handle.operation_token is not None]


@workflow.defn
class AsksAbout:
    """Asks the handler about itself."""

    @workflow.run
    async def run(self, endpoint: str) -> dict[str, str]:
        """Ask."""
        client = workflow.create_nexus_client(service=Oracle, endpoint=endpoint)
        return await client.execute_operation(Oracle.about, None)


async def ask(
    client: Client, task_queue: str, endpoint: str, operation: str
) -> WorkflowHandle[Any, list[Any]]:
    """Start a workflow that asks."""
    return await client.start_workflow(
        Asks.run,
        args=[endpoint, operation, Question("why")],
        id=random_id(),
        task_queue=task_queue,
    )


async def test_sync_operation_happy_path(client: Client) -> None:
    async with served(client, OracleHandler(), workflows=(Asks, Thinks)) as (
        worker,
        endpoint,
    ):
        handle = await ask(client, worker.task_queue, endpoint, "at_once")
        assert await handle.result() == ["why!", False]


async def test_workflow_run_operation_happy_path(client: Client) -> None:
    async with served(client, OracleHandler(), workflows=(Asks, Thinks)) as (
        worker,
        endpoint,
    ):
        handle = await ask(client, worker.task_queue, endpoint, "by_workflow")
        assert await handle.result() == ["why, I think", True]


async def test_nexus_info_includes_namespace(client: Client) -> None:
    async with served(client, OracleHandler(), workflows=(AsksAbout,)) as (
        worker,
        endpoint,
    ):
        about = await client.execute_workflow(
            AsksAbout.run, endpoint, id=random_id(), task_queue=worker.task_queue
        )
        assert about == {
            "endpoint": endpoint,
            "namespace": client.namespace,
            "task_queue": worker.task_queue,
        }


async def test_nexus_operation_summary(client: Client) -> None:
    async with served(client, OracleHandler(), workflows=(Asks, Thinks)) as (
        worker,
        endpoint,
    ):
        handle = await ask(client, worker.task_queue, endpoint, "at_once")
        await handle.result()
        (scheduled,) = [
            event
            for event in await events_of(handle)
            if event.event_type == EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED
        ]
        assert scheduled.user_metadata.summary.data == b'"a question"'


@pytest.mark.parametrize("operation", ["at_once", "by_workflow"])
async def test_request_deadline_is_accessible_in_operation(
    client: Client, operation: str
) -> None:
    handler = OracleHandler()
    async with served(client, handler, workflows=(Asks, Thinks)) as (worker, endpoint):
        handle = await ask(client, worker.task_queue, endpoint, operation)
        await handle.result()
    (deadline,) = handler.deadlines
    assert deadline.tzinfo is timezone.utc
