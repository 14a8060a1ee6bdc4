"""What is due is found among very many things that are not, without reading those."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from dbosify._store import claims, due, statements
from dbosify._store.claims import Owner, Share
from dbosify._store.due import Due
from dbosify._store.engine import Database
from dbosify._store.migrate import ensure_schema
from dbosify._store.url import DatabaseUrl

MANY = 20_000

FEW = 200
"""Rows that a statement may read in all; it says for each of its tables what is due."""

FILL = """
INSERT INTO {schema}.workflow_status (
  workflow_uuid, status, name, queue_name, recovery_attempts, serialization,
  delay_until_epoch_ms, created_at
)
SELECT 'order-' || n || '/' || n,
       CASE WHEN n % 4 = 0 THEN 'SUCCESS' ELSE 'DELAYED' END, 'Order',
       'queue-' || n % 3, 0, 'portable_json',
       CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN {for_ever}
                  ELSE 4102444800000 + n END, n
FROM generate_series(1, {many}) n;
INSERT INTO {schema}.dbosify_executions (
  run_id, workflow_id, run_number, workflow_uuid, workflow_type, task_queue, status,
  first_run_id, start_request_id, start_time, execution_time, close_time, expires_at,
  started_event
)
SELECT n::text, 'order-' || n, 1, 'order-' || n || '/' || n, 'Order', 'queue-' || n % 3,
       1, '', '', now(), now(), CASE WHEN n % 4 = 0 THEN now() END,
       now() + interval '1 day' * CASE WHEN n % 4 = 0 THEN -1 ELSE 1 END, ''
FROM generate_series(1, {many}) n;
INSERT INTO {schema}.dbosify_activities (
  task_id, run_id, workflow_uuid, scheduled_event_id, activity_id, activity_type,
  task_queue, task, attempt, state, scheduled_at, attempt_scheduled_at, executor_id,
  deadline, eager
)
SELECT 'task-' || n, n::text, 'order-' || n || '/' || n, 5, '1', 'pay', 'queue', '', 1,
       2, now(), now(), 'executor-' || n % 3,
       CASE WHEN n % 4 <> 0 THEN now() + interval '1 day' END, n % 4 = 0
FROM generate_series(1, {many}) n;
INSERT INTO {schema}.dbosify_workers (executor_id, identity, host, pid, expires_at)
SELECT 'executor-' || n, '', '', n, now() + interval '1 day'
FROM generate_series(0, 2) n;
INSERT INTO {schema}.dbosify_outbox (
  entry_id, workflow_uuid, kind, event_id, events, due_at
)
SELECT n::text, '', '', 1, '', now() + interval '1 day'
FROM generate_series(1, {many}) n;
INSERT INTO {schema}.dbosify_nexus_operations (
  operation_key, workflow_uuid, task_queue, scheduled, info, due_at, expires_at
)
SELECT n::text, 'order-' || n || '/' || n, 'queue-' || n % 3, '', '',
       now() + interval '1 day', now() + interval '1 day'
FROM generate_series(1, {many}) n;
INSERT INTO {schema}.dbosify_schedules (
  schedule_id, request_id, created_at, schedule, info, progress, conflict_token, paused,
  next_look
)
SELECT n::text, '', now(), '', '', '{{}}', 1, false, now() + interval '1 day'
FROM generate_series(1, {many}) n
"""

QUEUES = [f"queue-{number}" for number in range(4)]

STATEMENTS: dict[str, dict[str, object]] = {
    "what_is_due": {"queues": QUEUES},
    "wake_parked": {"limit": 500},
    "expired_runs": {},
    "due_outbox": {},
    "expired_nexus_operations": {},
    "due_activities": {},
    "due_schedule": {},
    "call_nexus_operations": {
        "call": "token",
        "seconds": 10,
        "task_queue": "queue-1",
        "limit": 100,
    },
    "claim_runs": {
        "queue": "queue-1",
        "limit": 50,
        "processes": 6,
        "token": "token",
        "executor_id": "executor-1",
    },
    "claim_activities": {
        "queue": "activity:queue-1",
        "limit": 50,
        "processes": 6,
        "token": "token",
        "executor_id": "executor-1",
        "identity": "",
        "now": 0.0,
    },
}


@pytest.fixture(scope="module")
def filled(postgres_url: str) -> Iterator[Database]:
    """A schema with many things of which none is due, as autovacuum leaves it."""
    url, schema = DatabaseUrl.parse(postgres_url), f"due_{uuid.uuid4().hex}"
    ensure_schema(url, schema=schema, namespace=schema)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        fill = FILL.format(schema=schema, many=MANY, for_ever=claims.PARKED_FOR_EVER)
        for statement in fill.split(";"):
            connection.execute(statement.encode())
        connection.execute("ANALYZE")
        yield Database(url, schema)
        connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


async def looked(database: Database) -> Due:
    try:
        return await due.look(database, QUEUES)
    finally:
        await database.close()


def rows_read(plan: dict[str, Any]) -> float:
    """Rows that the scans of a plan had in hand, whether they kept them or not."""
    read = sum(rows_read(part) for part in plan.get("Plans", []))
    if "Relation Name" in plan and "Scan" in plan["Node Type"]:
        found = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        read += plan["Actual Loops"] * found
    return read


@pytest.mark.parametrize("generic", [True, False], ids=["generic plan", "custom plan"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_a_look_reads_few_rows(filled: Database, name: str, generic: bool) -> None:
    """With a plan for any parameters, as prepared statements get it, and for these."""
    with psycopg.connect(filled.url.conninfo) as connection:
        plan = plan_of(connection, filled, name, generic=generic)
        connection.rollback()
    assert rows_read(plan) <= FEW, json.dumps(plan, indent=1)


def plan_of(
    connection: psycopg.Connection[Any], database: Database, name: str, *, generic: bool
) -> dict[str, Any]:
    """How a statement was carried out."""
    text = statements.bound(name, database.schema).decode()
    values = STATEMENTS[name]
    mode = "force_generic_plan" if generic else "force_custom_plan"
    connection.execute(f"SET plan_cache_mode = {mode}".encode())
    for number, key in enumerate(values, 1):
        text = text.replace(f"%({key})s", f"${number}")
    connection.execute(f"PREPARE look AS {text}".encode())
    arguments = sql.SQL(", ").join(map(sql.Literal, values.values()))
    call = sql.SQL("({})").format(arguments) if values else sql.SQL("")
    explain = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE look{}").format(call)
    [row] = connection.execute(explain).fetchall()
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


@pytest.mark.parametrize("generic", [True, False], ids=["generic plan", "custom plan"])
def test_one_of_many_schedules_that_are_due_is_found_by_reading_few_rows(
    filled: Database, generic: bool
) -> None:
    """As at midnight, when each of them is looked for so."""
    with psycopg.connect(filled.url.conninfo) as connection:
        table = f"{filled.schema}.dbosify_schedules"
        connection.execute(
            f"UPDATE {table} SET next_look = next_look - interval '2 days'".encode()
        )
        connection.execute(f"ANALYZE {table}".encode())
        plan = plan_of(connection, filled, "due_schedule", generic=generic)
        connection.rollback()
    assert plan["Actual Rows"] == 1
    assert rows_read(plan) <= FEW, json.dumps(plan, indent=1)


async def test_nothing_is_due_that_has_time(filled: Database) -> None:
    found = await looked(filled)
    assert found.parked_until is not None
    assert found.parked_until > found.now
    flags = (found.runs, found.outbox, found.nexus, found.activities, found.batches)
    assert not any(flags)
    assert not found.schedules_await
    assert (found.queued, found.queried, found.called) == ([], [], [])


@pytest.mark.parametrize(
    ("change", "named", "expected"),
    [
        (
            "UPDATE {schema}.workflow_status SET delay_until_epoch_ms = 1000"
            " WHERE workflow_uuid = 'order-7/7'",
            "parked_until",
            1.0,
        ),
        (
            "UPDATE {schema}.workflow_status SET status = 'ENQUEUED'"
            " WHERE workflow_uuid = 'order-7/7'",
            "queued",
            ["queue-1"],
        ),
        (
            "UPDATE {schema}.dbosify_executions SET expires_at = now()"
            " WHERE run_id = '7'",
            "runs",
            True,
        ),
        (
            "UPDATE {schema}.dbosify_outbox SET due_at = now() WHERE entry_id = '7'",
            "outbox",
            True,
        ),
        (
            "UPDATE {schema}.dbosify_nexus_operations SET expires_at = now()"
            " WHERE operation_key = '7'",
            "nexus",
            True,
        ),
        (
            "UPDATE {schema}.dbosify_nexus_operations SET due_at = now()"
            " WHERE operation_key = '7'",
            "called",
            ["queue-1"],
        ),
        (
            "UPDATE {schema}.dbosify_activities SET deadline = now()"
            " WHERE task_id = 'task-7'",
            "activities",
            True,
        ),
        (
            "UPDATE {schema}.dbosify_activities SET executor_id = 'executor-17'"
            " WHERE task_id = 'task-7'",
            "activities",
            True,
        ),
        (
            # Its run's next owner cares for an eager one, and knows of it by itself.
            "UPDATE {schema}.dbosify_activities SET executor_id = 'executor-17'"
            " WHERE task_id = 'task-8'",
            "activities",
            False,
        ),
        (
            # Two workers of one process, and one of a process that is dead.
            "INSERT INTO {schema}.dbosify_worker_instances"
            " (instance_key, executor_id, task_queue, info) VALUES"
            " ('1', 'executor-1', 'queue-1', ''), ('2', 'executor-1', 'queue-1', ''),"
            " ('3', 'executor-17', 'queue-1', '')",
            "servers",
            {"queue-1": 1},
        ),
    ],
)
async def test_the_one_thing_that_is_due_is_named(
    filled: Database, change: str, named: str, expected: object
) -> None:
    pool = await filled.pool()
    try:
        async with pool.connection() as connection, connection.transaction() as undone:
            await connection.execute(change.format(schema=filled.schema).encode())
            [row] = await filled.run(connection, "what_is_due", {"queues": QUEUES})
            raise psycopg.Rollback(undone)
    finally:
        await filled.close()
    assert row[named] == expected


@pytest.mark.parametrize(
    ("processes", "limit", "taken", "more"),
    [(1, 50, 12, False), (1, 12, 12, True), (6, 50, 2, True), (5, 50, 3, True)],
)
async def test_of_a_burst_a_process_takes_its_share(
    filled: Database, processes: int, limit: int, taken: int, more: bool
) -> None:
    queue = f"burst-{uuid.uuid4()}"
    share = Share(limit, processes)
    pool = await filled.pool()
    async with pool.connection() as connection:
        await connection.execute(
            f"UPDATE {filled.schema}.workflow_status"
            " SET status = 'ENQUEUED', queue_name = %s WHERE workflow_uuid IN ("
            f"  SELECT workflow_uuid FROM {filled.schema}.workflow_status"
            "  WHERE status = 'DELAYED' AND created_at > 1000 LIMIT 12)".encode(),
            (queue,),
        )
    try:
        owner = Owner("executor-1", "token", queue)
        claimed, left = await claims.claim(filled, owner, share)
        assert (len(claimed), left) == (taken, more)
        while claimed:
            claimed, left = await claims.claim(filled, owner, share)
        assert not left
    finally:
        await filled.close()


async def test_what_is_parked_wakes_up_the_longest_due_first(filled: Database) -> None:
    parked = {f"order-{number}/{number}": number for number in (9, 5, 7)}
    pool = await filled.pool()
    try:
        async with pool.connection() as connection, connection.transaction() as undone:
            for name, moment in parked.items():
                await connection.execute(
                    f"UPDATE {filled.schema}.workflow_status"
                    " SET delay_until_epoch_ms = %s WHERE workflow_uuid = %s".encode(),
                    (moment, name),
                )
            await filled.run(connection, "wake_parked", {"limit": 2})
            cursor = await connection.execute(
                f"SELECT workflow_uuid FROM {filled.schema}.workflow_status"
                " WHERE status = 'ENQUEUED' ORDER BY workflow_uuid".encode()
            )
            woken = [row["workflow_uuid"] for row in await cursor.fetchall()]
            raise psycopg.Rollback(undone)
    finally:
        await filled.close()
    assert woken == ["order-5/5", "order-7/7"]
