"""Fairness: how far each fairness key of a task queue is on the queue's own clock."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0022"
down_revision = "0021"


def upgrade(*, op: Operations, schema: str) -> None:
    """Create the table."""
    op.create_table(
        "dbosify_fairness",
        sa.Column("queue_name", sa.Text, primary_key=True),
        sa.Column("priority", sa.Integer, primary_key=True),
        sa.Column("fairness_key", sa.Text, primary_key=True),
        sa.Column("last", sa.Double, nullable=False),
        schema=schema,
        comment="dbosify: the last place of each fairness key in a queue",
        if_not_exists=True,
    )
