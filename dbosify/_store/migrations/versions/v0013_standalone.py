"""Standalone activities: a row for each, open or over, and room for them in a queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, TIMESTAMP

revision = "0013"
down_revision = "0012"

_TABLE = "dbosify_standalone"
_TIME = TIMESTAMP(timezone=True)


def upgrade(*, op: Operations, schema: str) -> None:
    """Create the table; an activity on a queue need not belong to a run any more."""
    op.create_table(
        _TABLE,
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("activity_id", sa.Text, nullable=False),
        sa.Column("run_number", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("activity_type", sa.Text, nullable=False),
        sa.Column("task_queue", sa.Text, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("start_request_id", sa.Text, nullable=False),
        sa.Column("cancel_request_id", sa.Text),
        sa.Column("cancel_reason", sa.Text),
        sa.Column("end_request_id", sa.Text),
        sa.Column("start_time", _TIME, nullable=False),
        sa.Column("execution_time", _TIME, nullable=False),
        sa.Column("close_time", _TIME),
        sa.Column("search_attributes", JSONB),
        sa.Column("request", BYTEA, nullable=False),
        sa.Column("outcome", BYTEA),
        sa.Column("attempt", sa.Integer),
        sa.Column("started_at", _TIME),
        sa.Column("completed_at", _TIME),
        sa.Column("heartbeat_at", _TIME),
        sa.Column("heartbeat_details", BYTEA),
        sa.Column("heartbeats", sa.Integer),
        sa.Column("last_failure", BYTEA),
        sa.Column("worker_identity", sa.Text),
        sa.Column("transitions", sa.Integer),
        sa.UniqueConstraint("task_id", name=f"{_TABLE}_task_id_key"),
        sa.UniqueConstraint("activity_id", "run_number", name=f"{_TABLE}_number_key"),
        schema=schema,
        comment="dbosify: each activity that a client started; the open one is unique",
        if_not_exists=True,
    )
    _create_indexes(op, schema)
    quoted = op.get_bind().dialect.identifier_preparer.quote_identifier(schema)
    op.execute(
        sa.text(
            f"ALTER TABLE {quoted}.dbosify_activities"
            " ALTER COLUMN workflow_uuid DROP NOT NULL,"
            " ADD COLUMN IF NOT EXISTS heartbeats integer NOT NULL DEFAULT 0"
        )
    )


def _create_indexes(op: Operations, schema: str) -> None:
    op.create_index(
        f"{_TABLE}_open",
        _TABLE,
        ["activity_id"],
        unique=True,
        schema=schema,
        postgresql_where=sa.text("close_time IS NULL"),
        if_not_exists=True,
    )
    op.create_index(
        f"{_TABLE}_listed",
        _TABLE,
        [sa.text("coalesce(close_time, 'infinity')"), "start_time", "run_id"],
        schema=schema,
        if_not_exists=True,
    )
    op.create_index(
        f"{_TABLE}_attributes",
        _TABLE,
        ["search_attributes"],
        schema=schema,
        postgresql_using="gin",
        postgresql_ops={"search_attributes": "jsonb_path_ops"},
        postgresql_where=sa.text("search_attributes IS NOT NULL"),
        if_not_exists=True,
    )
