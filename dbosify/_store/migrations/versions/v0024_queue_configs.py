"""What operators set for task queues: rates, and weights of fairness keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import BYTEA, JSONB

revision = "0024"
down_revision = "0023"


def upgrade(*, op: Operations, schema: str) -> None:
    """Create the table."""
    op.create_table(
        "dbosify_queue_configs",
        sa.Column("task_queue", sa.Text, primary_key=True),
        sa.Column("kind", sa.Integer, primary_key=True),
        sa.Column("config", BYTEA, nullable=False),
        sa.Column("rate", sa.Double),
        sa.Column("weights", JSONB),
        schema=schema,
        comment="dbosify: what operators set for a task queue",
        if_not_exists=True,
    )
