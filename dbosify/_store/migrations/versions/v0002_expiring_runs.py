"""When a run is out of time, so that any worker can close it, whoever owns it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0002"
down_revision = "0001"


def upgrade(*, op: Operations, schema: str) -> None:
    """Add the column, and the index that finds what is due."""
    quoted = op.get_bind().dialect.identifier_preparer.quote_identifier(schema)
    op.execute(
        sa.text(
            f"ALTER TABLE {quoted}.dbosify_executions"
            " ADD COLUMN IF NOT EXISTS expires_at timestamptz"
        )
    )
    op.create_index(
        "dbosify_executions_expires_at",
        "dbosify_executions",
        ["expires_at"],
        schema=schema,
        postgresql_where=sa.text("close_time IS NULL AND expires_at IS NOT NULL"),
        if_not_exists=True,
    )
