"""Schedules: one table, whose rows say when they must be looked at again.

What a schedule does is calculated from its row; the columns beside it are those that
statements search by.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, TIMESTAMP

revision = "0003"
down_revision = "0002"

_TABLE = "dbosify_schedules"
_TIME = TIMESTAMP(timezone=True)


def upgrade(*, op: Operations, schema: str) -> None:
    """Create the table and its indexes."""
    op.create_table(
        _TABLE,
        sa.Column("schedule_id", sa.Text, primary_key=True),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("deleted_at", _TIME),
        sa.Column("schedule", BYTEA, nullable=False),
        sa.Column("info", BYTEA, nullable=False),
        sa.Column("progress", JSONB, nullable=False),
        sa.Column("conflict_token", sa.BigInteger, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("next_look", _TIME),
        sa.Column("awaited_workflow_ids", ARRAY(sa.Text)),
        sa.Column("awaited_run_ids", ARRAY(sa.Text)),
        sa.Column("memo", BYTEA),
        sa.Column("search_attributes", JSONB),
        schema=schema,
        comment="dbosify: each schedule, with what it did and what it still has to do",
        if_not_exists=True,
    )
    op.create_index(
        f"{_TABLE}_next_look",
        _TABLE,
        ["next_look"],
        schema=schema,
        postgresql_where=sa.text("next_look IS NOT NULL AND deleted_at IS NULL"),
        if_not_exists=True,
    )
    op.create_index(
        f"{_TABLE}_awaited",
        _TABLE,
        ["schedule_id"],
        schema=schema,
        postgresql_where=sa.text(
            "awaited_workflow_ids IS NOT NULL AND deleted_at IS NULL"
        ),
        if_not_exists=True,
    )
    op.create_index(
        f"{_TABLE}_created_at",
        _TABLE,
        ["created_at", "schedule_id"],
        schema=schema,
        postgresql_where=sa.text("deleted_at IS NULL"),
        if_not_exists=True,
    )
