"""A namespace is what it was registered as: whose it is, and what for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0016"
down_revision = "0015"


def upgrade(*, op: Operations, schema: str) -> None:
    """Make room for it; a namespace that a connection created has none."""
    quoted = op.get_bind().dialect.identifier_preparer.quote_identifier(schema)
    op.execute(
        sa.text(
            f"ALTER TABLE {quoted}.dbosify_namespace"
            " ADD COLUMN IF NOT EXISTS registered bytea"
        )
    )
