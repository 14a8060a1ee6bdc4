"""Standalone Nexus operations: a row for each, open or over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, TIMESTAMP

revision = "0014"
down_revision = "0013"

_TABLE = "dbosify_standalone_operations"
_TIME = TIMESTAMP(timezone=True)


def upgrade(*, op: Operations, schema: str) -> None:
    """Create the table, with the index that keeps one operation of an id open."""
    op.create_table(
        _TABLE,
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("operation_id", sa.Text, nullable=False),
        sa.Column("run_number", sa.BigInteger, nullable=False),
        sa.Column("operation_key", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("start_request_id", sa.Text, nullable=False),
        sa.Column("cancel_request_id", sa.Text),
        sa.Column("cancel_reason", sa.Text),
        sa.Column("end_request_id", sa.Text),
        sa.Column("start_time", _TIME, nullable=False),
        sa.Column("close_time", _TIME),
        sa.Column("search_attributes", JSONB),
        sa.Column("request", BYTEA, nullable=False),
        sa.Column("info", BYTEA),
        sa.Column("outcome", BYTEA),
        sa.Column("links", BYTEA),
        sa.Column("transitions", sa.Integer, nullable=False),
        sa.UniqueConstraint("operation_key", name=f"{_TABLE}_key"),
        sa.UniqueConstraint("operation_id", "run_number", name=f"{_TABLE}_number_key"),
        schema=schema,
        comment="dbosify: each Nexus operation that a client started",
        if_not_exists=True,
    )
    op.create_index(
        f"{_TABLE}_open",
        _TABLE,
        ["operation_id"],
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
