"""The outbox: what runs want done to other runs, until somebody has done it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP

revision = "0007"
down_revision = "0006"

_TABLE = "dbosify_outbox"


def upgrade(*, op: Operations, schema: str) -> None:
    """Add the table, and the index that finds what nobody has delivered."""
    op.create_table(
        _TABLE,
        sa.Column("entry_id", sa.Text, primary_key=True),
        sa.Column("workflow_uuid", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("event_id", sa.BigInteger, nullable=False),
        sa.Column("events", BYTEA, nullable=False),
        sa.Column("answer", BYTEA),
        sa.Column("tries", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("due_at", TIMESTAMP(timezone=True), nullable=False),
        schema=schema,
        comment="dbosify: what runs want done to other runs, until it is done",
        if_not_exists=True,
    )
    op.create_index(
        f"{_TABLE}_due_at", _TABLE, ["due_at"], schema=schema, if_not_exists=True
    )
