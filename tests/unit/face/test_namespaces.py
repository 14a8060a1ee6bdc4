"""Namespaces of one database know nothing of each other."""

import asyncio
import uuid

import psycopg
import pytest

from dbosify.api.workflowservice.v1 import DescribeNamespaceRequest
from dbosify.client import Client
from dbosify.service import RPCError, RPCStatusCode
from tests.fix_postgres import FreshDatabase
from tests.unit.face.greeting import greeted, random_name, served
from tests.unit.face.workflows import Greeting, Patient


def random_namespace() -> str:
    """A namespace that no other test uses, with a name that needs no change."""
    return f"face_{uuid.uuid4().hex[:8]}"


async def test_the_same_ids_live_in_two_namespaces_at_once(postgres_url: str) -> None:
    workflow_id, task_queue = random_name(), random_name("queue")
    handles = []
    for namespace in (random_namespace(), random_namespace()):
        client = await Client.connect(postgres_url, namespace=namespace)
        handles.append(
            await client.start_workflow(
                Patient.run, id=workflow_id, task_queue=task_queue
            )
        )
    first, second = handles
    assert first.result_run_id != second.result_run_id
    await first.terminate()
    assert (await second.describe()).raw_description.workflow_execution_info.status == 1
    with pytest.raises(RPCError) as caught:
        await first.signal("say", "hello")
    assert caught.value.status == RPCStatusCode.NOT_FOUND


async def test_workers_serve_their_own_namespace_only(postgres_url: str) -> None:
    ours, theirs = [
        await Client.connect(postgres_url, namespace=random_namespace())
        for _ in range(2)
    ]
    task_queue = random_name("queue")
    async with served(ours, task_queue=task_queue):
        unserved = await theirs.start_workflow(
            Greeting.run, "Ada", id=random_name(), task_queue=task_queue
        )
        assert await greeted(ours, task_queue) == "Hello, Ada!"
        history = await unserved.fetch_history()
        assert len(history.events) == 2
        async with served(theirs, task_queue=task_queue):
            assert await unserved.result() == "Hello, Ada!"


async def test_each_namespace_says_its_name_and_has_an_id(postgres_url: str) -> None:
    ids = set()
    for namespace in ("default", random_namespace(), "Größer & schöner"):
        client = await Client.connect(postgres_url, namespace=namespace)
        described = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=namespace)
        )
        assert described.namespace_info.name == namespace
        ids.add(described.namespace_info.id)
    assert len(ids) == 3


async def test_connecting_to_a_namespace_creates_no_other(
    fresh_database: FreshDatabase,
) -> None:
    url, namespace = fresh_database(), random_namespace()
    async with await Client.connect(url, namespace=namespace) as client:
        assert client.namespace == namespace
    with psycopg.connect(url) as connection:
        schemas = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'dbos%'"
        ).fetchall()
    assert schemas == [(f"dbos_{namespace}",)]


async def test_a_namespace_is_created_whoever_holds_transactions_open(
    postgres_url: str,
) -> None:
    with psycopg.connect(postgres_url) as holder:
        holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        holder.execute("SELECT 1")
        connecting = Client.connect(postgres_url, namespace=random_namespace())
        async with await asyncio.wait_for(connecting, 20) as client:
            assert client.namespace
