"""Nexus: endpoints, and operations between their callers and their handlers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP

revision = "0010"
down_revision = "0009"

_ENDPOINTS = "dbosify_nexus_endpoints"
_OPERATIONS = "dbosify_nexus_operations"


def upgrade(*, op: Operations, schema: str) -> None:
    """Create both tables and the indexes that find what is due."""
    op.create_table(
        _ENDPOINTS,
        sa.Column("endpoint_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("task_queue", sa.Text, nullable=False),
        sa.Column("endpoint", BYTEA, nullable=False),
        schema=schema,
        comment="dbosify: where the handlers of Nexus operations are",
        if_not_exists=True,
    )
    op.create_table(
        _OPERATIONS,
        sa.Column("operation_key", sa.Text, primary_key=True),
        sa.Column("workflow_uuid", sa.Text, nullable=False),
        sa.Column("task_queue", sa.Text, nullable=False),
        sa.Column("scheduled", BYTEA, nullable=False),
        sa.Column("info", BYTEA, nullable=False),
        sa.Column("cancel", BYTEA),
        sa.Column("call", sa.Text),
        sa.Column("due_at", TIMESTAMP(timezone=True)),
        sa.Column("expires_at", TIMESTAMP(timezone=True)),
        schema=schema,
        comment="dbosify: Nexus operations that are not over",
        if_not_exists=True,
    )
    op.create_index(
        f"{_OPERATIONS}_due_at",
        _OPERATIONS,
        ["task_queue", "due_at"],
        schema=schema,
        postgresql_where=sa.text("due_at IS NOT NULL"),
        if_not_exists=True,
    )
    op.create_index(
        f"{_OPERATIONS}_expires_at",
        _OPERATIONS,
        ["expires_at"],
        schema=schema,
        postgresql_where=sa.text("expires_at IS NOT NULL"),
        if_not_exists=True,
    )
    op.create_index(
        f"{_OPERATIONS}_workflow_uuid",
        _OPERATIONS,
        ["workflow_uuid"],
        schema=schema,
        if_not_exists=True,
    )
