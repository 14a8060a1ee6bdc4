"""Updates tell somebody of their end: a Nexus operation, say."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0023"
down_revision = "0022"


def upgrade(*, op: Operations, schema: str) -> None:
    """Keep the callbacks of all who sent the same update."""
    quoted = op.get_bind().dialect.identifier_preparer.quote_identifier(schema)
    op.execute(
        sa.text(
            f"ALTER TABLE {quoted}.dbosify_updates"
            " ADD COLUMN IF NOT EXISTS callbacks bytea"
        )
    )
