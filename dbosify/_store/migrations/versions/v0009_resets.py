"""Which run took a run's place when it was reset, and when the new one began so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0009"
down_revision = "0008"


def upgrade(*, op: Operations, schema: str) -> None:
    """Add the columns."""
    quoted = op.get_bind().dialect.identifier_preparer.quote_identifier(schema)
    op.execute(
        sa.text(
            f"ALTER TABLE {quoted}.dbosify_executions"
            " ADD COLUMN IF NOT EXISTS reset_run_id text,"
            " ADD COLUMN IF NOT EXISTS reset_at timestamptz"
        )
    )
