"""What was closed longer ago than its namespace keeps it is deleted, and nothing else.

Temporal's shortest retention is an hour, so this is told of dbosify alone: here the
past is made in the tables.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest_asyncio

from dbosify._runtime.retention_role import delete_some
from dbosify._store.engine import Database
from dbosify._store.url import DatabaseUrl
from dbosify.api.nexus.v1 import EndpointSpec
from dbosify.api.operatorservice.v1 import CreateNexusEndpointRequest
from dbosify.api.workflowservice.v1 import (
    StartNexusOperationExecutionRequest,
    TerminateNexusOperationExecutionRequest,
    UpdateNamespaceRequest,
)
from dbosify.client import Client
from tests.fix_postgres import FreshDatabase
from tests.unit.face.greeting import random_name, served, started
from tests.unit.test_deleting import rows_about
from tests.waiting import eventually

HOUR = timedelta(hours=1)
PATIENCE = 30.0

AGE = """
UPDATE dbos.{table} SET close_time = close_time - interval '2 hours'
WHERE run_id = %s
"""

TABLES = ("executions", "standalone", "standalone_operations")


@pytest_asyncio.fixture
async def client(fresh_database: FreshDatabase) -> AsyncIterator[Client]:
    """A client of a database that nobody else sees."""
    async with await Client.connect(fresh_database()) as client:
        yield client


def url_of(client: Client) -> str:
    """The database of a client."""
    return str(client.service_client.config.target_host)


async def keep_for(client: Client, time: timedelta) -> None:
    """Tell the namespace for how long it keeps what is closed."""
    request = UpdateNamespaceRequest(namespace=client.namespace)
    request.config.workflow_execution_retention_ttl.FromTimedelta(time)
    await client.workflow_service.update_namespace(request)


async def closed_run(client: Client) -> str:
    """A run that was terminated."""
    handle = await started(client)
    await handle.terminate()
    assert handle.first_execution_run_id
    return handle.first_execution_run_id


async def closed_activity(client: Client) -> str:
    """An activity of no workflow, that was terminated."""
    handle: Any = await client.start_activity(
        "nobody's",
        id=random_name(),
        task_queue="nobody",
        start_to_close_timeout=HOUR,
    )
    await handle.terminate()
    return str(handle.run_id)


async def closed_operation(client: Client) -> str:
    """A Nexus operation of no workflow, that was terminated."""
    endpoint = EndpointSpec(name=random_name())
    endpoint.target.worker.namespace = client.namespace
    endpoint.target.worker.task_queue = "nobody"
    await client.operator_service.create_nexus_endpoint(
        CreateNexusEndpointRequest(spec=endpoint)
    )
    operation_id = random_name()
    begun = await client.workflow_service.start_nexus_operation_execution(
        StartNexusOperationExecutionRequest(
            namespace=client.namespace,
            operation_id=operation_id,
            request_id=random_name(),
            endpoint=endpoint.name,
            service="service",
            operation="operation",
        )
    )
    await client.workflow_service.terminate_nexus_operation_execution(
        TerminateNexusOperationExecutionRequest(
            namespace=client.namespace,
            operation_id=operation_id,
            run_id=begun.run_id,
            request_id=random_name(),
        )
    )
    return begun.run_id


async def all_closed(client: Client) -> list[str]:
    """One of each kind."""
    return [
        await closed_run(client),
        await closed_activity(client),
        await closed_operation(client),
    ]


async def age(client: Client, run_ids: list[str]) -> None:
    """Let all of these have ended two hours earlier."""
    async with await psycopg.AsyncConnection.connect(url_of(client)) as connection:
        for table in TABLES:
            for run_id in run_ids:
                text = psycopg.sql.SQL(AGE).format(
                    table=psycopg.sql.Identifier(f"dbosify_{table}")
                )
                await connection.execute(text, [run_id])


async def test_a_worker_deletes_what_was_kept_long_enough(client: Client) -> None:
    old, young = await all_closed(client), await all_closed(client)
    still_open = (await started(client)).first_execution_run_id
    assert still_open
    await age(client, old)
    await keep_for(client, HOUR)
    async with served(client):
        for run_id in old:

            async def gone(run_id: str = run_id) -> None:
                assert await rows_about(url_of(client), run_id) == {}

            await eventually(gone, patience=PATIENCE)
    for run_id in (*young, still_open):
        assert await rows_about(url_of(client), run_id)


async def test_a_namespace_that_was_told_of_no_retention_keeps_all(
    client: Client,
) -> None:
    old = await all_closed(client)
    await age(client, old)
    database = Database(DatabaseUrl.parse(url_of(client)), "dbos")
    assert not await delete_some(database)
    for run_id in old:
        assert await rows_about(url_of(client), run_id)
    await keep_for(client, HOUR)
    assert await delete_some(database)
    assert not await delete_some(database)
    await database.close()
