"""How fast the activities of a task queue begin, for queues that have a limit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0005"
down_revision = "0004"


def upgrade(*, op: Operations, schema: str) -> None:
    """Create the table."""
    op.create_table(
        "dbosify_rates",
        sa.Column("task_queue", sa.Text, primary_key=True),
        sa.Column("full_at", sa.Double, nullable=False),
        sa.Column("allowed", sa.Integer, nullable=False),
        schema=schema,
        comment="dbosify: each task queue whose activities begin at a limited rate",
        if_not_exists=True,
    )
