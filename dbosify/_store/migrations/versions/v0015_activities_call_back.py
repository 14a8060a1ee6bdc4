"""Standalone activities tell somebody of their end: a Nexus operation, say."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0015"
down_revision = "0014"


def upgrade(*, op: Operations, schema: str) -> None:
    """Note which activities call back."""
    quoted = op.get_bind().dialect.identifier_preparer.quote_identifier(schema)
    op.execute(
        sa.text(
            f"ALTER TABLE {quoted}.dbosify_standalone"
            " ADD COLUMN IF NOT EXISTS calls_back boolean NOT NULL DEFAULT false"
        )
    )
