"""Updates have a size, because a run takes in only so much of them at a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0020"
down_revision = "0019"


def upgrade(*, op: Operations, schema: str) -> None:
    """Note how big updates are; those of before count for nothing."""
    quoted = op.get_bind().dialect.identifier_preparer.quote_identifier(schema)
    op.execute(
        sa.text(
            f"ALTER TABLE {quoted}.dbosify_updates"
            " ADD COLUMN IF NOT EXISTS size bigint NOT NULL DEFAULT 0"
        )
    )
