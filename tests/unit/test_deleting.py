"""What is left of runs that were deleted: nothing, and nothing else is missing.

Temporal's server deletes closed runs minutes later, so this is told of dbosify alone.
"""

from __future__ import annotations

import psycopg
import pytest

from dbosify.client import Client, WorkflowExecutionStatus
from dbosify.worker import Worker
from tests.ported_temporal.contract import (
    describe,
    execution,
    refusal_of,
    start,
    start_and_close,
    terminate,
    unknown_run,
    unknown_workflow,
)
from tests.ported_temporal.kitchen_sink import KitchenSinkWorkflow
from tests.ported_temporal.scaffold import new_worker, random_id
from tests.ported_temporal.test_contract_run_options import delete

COMPLETED = WorkflowExecutionStatus.COMPLETED


async def rows_about(url: str, run_id: str) -> dict[str, int]:
    """How many rows of each table name a run."""
    counts = {}
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_type = 'BASE TABLE' AND (table_name LIKE 'dbosify%'"
            " OR table_name IN ('workflow_status', 'operation_outputs',"
            " 'notifications', 'workflow_input', 'workflow_output'))"
        )
        for schema, table in await cursor.fetchall():
            name = psycopg.sql.Identifier(schema, table)
            query = psycopg.sql.SQL(
                "SELECT count(*) FROM {} AS t WHERE t::text LIKE %s"
            ).format(name)
            found = await connection.execute(query, [f"%{run_id}%"])
            row = await found.fetchone()
            counts[f"{schema}.{table}"] = row[0] if row else 0
    return {table: count for table, count in counts.items() if count}


async def test_nothing_is_left_of_a_closed_run(client: Client) -> None:
    async with new_worker(client, KitchenSinkWorkflow) as worker:
        workflow_id = random_id()
        run = await start_and_close(client, worker, workflow_id, status=COMPLETED)
        url = client.service_client.config.target_host
        assert await rows_about(url, run.run_id)
        await delete(client, execution(workflow_id))
        assert await rows_about(url, run.run_id) == {}
    gone = unknown_workflow(workflow_id)
    assert await refusal_of(describe(client, execution(workflow_id))) == gone


@pytest.mark.parametrize("also_open", [True, False])
async def test_other_runs_of_the_id_stay(client: Client, also_open: bool) -> None:
    async with new_worker(client, KitchenSinkWorkflow) as worker:
        await _others_stay(client, worker, also_open)


async def _others_stay(client: Client, worker: Worker, also_open: bool) -> None:
    workflow_id = random_id()
    first = await start_and_close(client, worker, workflow_id, status=COMPLETED)
    second = await start(client, workflow_id)
    if not also_open:
        await terminate(client, execution(workflow_id))
    await delete(client, execution(workflow_id, first.run_id))
    gone = unknown_run(workflow_id, first.run_id)
    target = execution(workflow_id, first.run_id)
    assert await refusal_of(describe(client, target)) == gone
    info = (await describe(client, execution(workflow_id))).workflow_execution_info
    assert info.execution.run_id == second.run_id
    if also_open:
        await terminate(client, execution(workflow_id))
