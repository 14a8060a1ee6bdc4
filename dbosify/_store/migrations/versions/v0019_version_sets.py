"""The sets of compatible build ids that task queues have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import JSONB

revision = "0019"
down_revision = "0018"


def upgrade(*, op: Operations, schema: str) -> None:
    """Create the table."""
    op.create_table(
        "dbosify_version_sets",
        sa.Column("task_queue", sa.Text, primary_key=True),
        sa.Column("sets", JSONB, nullable=False),
        schema=schema,
        comment="dbosify: build ids that are compatible with each other, by queue",
        if_not_exists=True,
    )
