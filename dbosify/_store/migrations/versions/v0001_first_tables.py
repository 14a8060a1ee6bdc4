"""The first tables: runs, activities, workers, queries, and the database's clock.

DBOS's tables say what should run next; these hold what Temporal knows beyond that.
They don't reference DBOS's rows: retention deletes both, each at its own pace.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, TIMESTAMP
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None

_TIME = TIMESTAMP(timezone=True)

_UPDATED_OFTEN = ("executions", "activities", "workers", "queries")


def upgrade(*, op: Operations, schema: str) -> None:
    """Create everything that is not there yet."""
    _create_namespace(op, schema)
    _create_executions(op, schema)
    _create_activities(op, schema)
    _create_workers(op, schema)
    _create_queries(op, schema)
    quoted = op.get_bind().dialect.identifier_preparer.quote_identifier(schema)
    for table in _UPDATED_OFTEN:
        # With room left in its page, a row's next version stays there and no index
        # has to learn of it, unless an indexed column changed.
        op.execute(
            sa.text(f"ALTER TABLE {quoted}.dbosify_{table} SET (fillfactor = 70)")
        )
    _create_clock(op, quoted)


def _required(
    name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]], default: str | None = None
) -> sa.Column[Any]:
    text = None if default is None else sa.text(default)
    return sa.Column(name, kind, nullable=False, server_default=text)


def _create_namespace(op: Operations, schema: str) -> None:
    op.create_table(
        "dbosify_namespace",
        sa.Column("name", sa.Text, primary_key=True),
        _required("id", sa.Uuid, "gen_random_uuid()"),
        _required("created_at", _TIME, "now()"),
        schema=schema,
        comment="dbosify: the namespace that this schema holds, in its only row",
        if_not_exists=True,
    )


def _create_executions(op: Operations, schema: str) -> None:
    table = "dbosify_executions"
    op.create_table(
        table,
        sa.Column("run_id", sa.Text, primary_key=True),
        _required("workflow_id", sa.Text),
        _required("run_number", sa.BigInteger),
        _required("workflow_uuid", sa.Text),
        _required("workflow_type", sa.Text),
        _required("task_queue", sa.Text),
        _required("status", sa.SmallInteger),
        _required("first_run_id", sa.Text),
        _required("start_request_id", sa.Text),
        _required("attempt", sa.Integer, "1"),
        _required("start_time", _TIME),
        _required("execution_time", _TIME),
        sa.Column("close_time", _TIME),
        _required("history_length", sa.Integer, "2"),
        _required("history_size", sa.Integer, "0"),
        _required("inbox", sa.BigInteger, "0"),
        _required("cancel_requested", sa.Boolean, "false"),
        _required("task_attempt", sa.Integer, "1"),
        sa.Column("task_failure", BYTEA),
        sa.Column("next_run_id", sa.Text),
        sa.Column("parent_workflow_id", sa.Text),
        sa.Column("parent_run_id", sa.Text),
        sa.Column("root_workflow_id", sa.Text),
        sa.Column("root_run_id", sa.Text),
        sa.Column("memo", BYTEA),
        sa.Column("search_attributes", JSONB),
        _required("started_event", BYTEA),
        sa.UniqueConstraint("workflow_uuid", name=f"{table}_workflow_uuid_key"),
        sa.UniqueConstraint("workflow_id", "run_number", name=f"{table}_number_key"),
        schema=schema,
        comment="dbosify: each run of a workflow; the open one of an id is unique",
        if_not_exists=True,
    )
    op.create_index(
        f"{table}_open",
        table,
        ["workflow_id"],
        unique=True,
        schema=schema,
        postgresql_where=sa.text("close_time IS NULL"),
        if_not_exists=True,
    )
    op.create_index(
        f"{table}_close_time",
        table,
        ["close_time"],
        schema=schema,
        postgresql_where=sa.text("close_time IS NOT NULL"),
        if_not_exists=True,
    )
    op.create_index(
        f"{table}_start_time", table, ["start_time"], schema=schema, if_not_exists=True
    )


def _create_activities(op: Operations, schema: str) -> None:
    table = "dbosify_activities"
    op.create_table(
        table,
        sa.Column("task_id", sa.Text, primary_key=True),
        _required("run_id", sa.Text),
        _required("workflow_uuid", sa.Text),
        _required("scheduled_event_id", sa.BigInteger),
        _required("activity_id", sa.Text),
        _required("activity_type", sa.Text),
        _required("task_queue", sa.Text),
        _required("task", BYTEA),
        _required("attempt", sa.Integer),
        _required("state", sa.SmallInteger),
        _required("cancel_requested", sa.Boolean, "false"),
        _required("scheduled_at", _TIME),
        _required("attempt_scheduled_at", _TIME),
        sa.Column("completed_at", _TIME),
        sa.Column("started_at", _TIME),
        sa.Column("heartbeat_at", _TIME),
        sa.Column("heartbeat_details", BYTEA),
        sa.Column("last_failure", BYTEA),
        sa.Column("worker_identity", sa.Text),
        sa.Column("executor_id", sa.Text),
        sa.Column("token", sa.Text),
        sa.Column("deadline", _TIME),
        _required("eager", sa.Boolean, "false"),
        sa.UniqueConstraint("run_id", "scheduled_event_id", name=f"{table}_event_key"),
        schema=schema,
        comment="dbosify: each activity that is under way or waits for a worker",
        if_not_exists=True,
    )
    # DBOS's own index leads through every message a run ever got.
    op.create_index(
        "dbosify_notifications_unread",
        "notifications",
        ["destination_uuid"],
        schema=schema,
        postgresql_where=sa.text("NOT consumed"),
        if_not_exists=True,
    )
    for column in ("deadline", "executor_id"):
        op.create_index(
            f"{table}_{column}",
            table,
            [column],
            schema=schema,
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
            if_not_exists=True,
        )


def _create_workers(op: Operations, schema: str) -> None:
    table = "dbosify_workers"
    op.create_table(
        table,
        sa.Column("executor_id", sa.Text, primary_key=True),
        _required("identity", sa.Text),
        _required("host", sa.Text),
        _required("pid", sa.Integer),
        _required("started_at", _TIME, "now()"),
        _required("expires_at", _TIME),
        schema=schema,
        comment="dbosify: the lease of each worker process",
        if_not_exists=True,
    )
    op.create_index(
        f"{table}_expires_at", table, ["expires_at"], schema=schema, if_not_exists=True
    )


def _create_queries(op: Operations, schema: str) -> None:
    table = "dbosify_queries"
    op.create_table(
        table,
        sa.Column("query_id", sa.Text, primary_key=True),
        _required("run_id", sa.Text),
        _required("workflow_uuid", sa.Text),
        _required("task_queue", sa.Text),
        sa.Column("executor_id", sa.Text),
        _required("request", BYTEA),
        _required("min_inbox", sa.BigInteger, "0"),
        sa.Column("answer", BYTEA),
        _required("created_at", _TIME, "now()"),
        _required("expires_at", _TIME),
        schema=schema,
        comment="dbosify: queries on their way to a worker, and its answers",
        if_not_exists=True,
    )
    op.create_index(
        f"{table}_unanswered",
        table,
        ["task_queue", "created_at"],
        schema=schema,
        postgresql_where=sa.text("answer IS NULL"),
        if_not_exists=True,
    )


def _create_clock(op: Operations, quoted_schema: str) -> None:
    # The body is an expression and not a string: its names are bound now, so that no
    # caller's search_path gives them another meaning.
    op.execute(
        sa.text(
            f"CREATE OR REPLACE FUNCTION {quoted_schema}.dbosify_now()"
            " RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE"
            " RETURN clock_timestamp() + coalesce(nullif(current_setting("
            "'dbosify.clock_offset', true), ''), '0 seconds')::interval"
        )
    )
    op.execute(
        sa.text(
            f"COMMENT ON FUNCTION {quoted_schema}.dbosify_now() IS 'dbosify: the"
            " database''s clock, which tests move by setting dbosify.clock_offset'"
        )
    )
