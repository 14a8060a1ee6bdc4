"""Runs with paused activities are found by an index that is nearly always empty."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0021"
down_revision = "0020"

_TABLE = "dbosify_activities"


def upgrade(*, op: Operations, schema: str) -> None:
    """Create the index."""
    op.create_index(
        f"{_TABLE}_paused",
        _TABLE,
        ["run_id"],
        schema=schema,
        postgresql_where=sa.text("paused_at IS NOT NULL"),
        if_not_exists=True,
    )
