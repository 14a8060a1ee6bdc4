"""What operators did to activities: paused them, or began them anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0011"
down_revision = "0010"


def upgrade(*, op: Operations, schema: str) -> None:
    """Add the columns."""
    quoted = op.get_bind().dialect.identifier_preparer.quote_identifier(schema)
    op.execute(
        sa.text(
            f"ALTER TABLE {quoted}.dbosify_activities"
            " ADD COLUMN IF NOT EXISTS paused_at timestamptz,"
            " ADD COLUMN IF NOT EXISTS paused_by text,"
            " ADD COLUMN IF NOT EXISTS pause_reason text,"
            " ADD COLUMN IF NOT EXISTS reset_requested boolean NOT NULL DEFAULT false"
        )
    )
