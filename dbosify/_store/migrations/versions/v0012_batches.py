"""Batch operations: what each does, to which runs, and how far it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, TIMESTAMP

revision = "0012"
down_revision = "0011"

_TABLE = "dbosify_batches"


def upgrade(*, op: Operations, schema: str) -> None:
    """Create the table and its index."""
    op.create_table(
        _TABLE,
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("request", BYTEA, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("started_at", TIMESTAMP(timezone=True), nullable=False),
        sa.Column("closed_at", TIMESTAMP(timezone=True)),
        sa.Column("targets", JSONB),
        sa.Column("position", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        schema=schema,
        comment="dbosify: each batch operation, and how many of its runs are done",
        if_not_exists=True,
    )
    op.create_index(
        f"{_TABLE}_running",
        _TABLE,
        ["started_at"],
        schema=schema,
        postgresql_where=sa.text("state = 1"),
        if_not_exists=True,
    )
