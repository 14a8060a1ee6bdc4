"""Updates: a row for each that a run was sent, so that any process can wait for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP

revision = "0006"
down_revision = "0005"

_TABLE = "dbosify_updates"


def upgrade(*, op: Operations, schema: str) -> None:
    """Create the table."""
    op.create_table(
        _TABLE,
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("update_id", sa.Text, primary_key=True),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("stage", sa.SmallInteger, nullable=False),
        sa.Column("rejected", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("outcome", BYTEA),
        sa.Column("answered_at", TIMESTAMP(timezone=True)),
        schema=schema,
        comment="dbosify: each update of a run, how far it is, and its outcome",
        if_not_exists=True,
    )
