"""The SDK's workers, of which a process may have several, as lists show them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import BYTEA

revision = "0018"
down_revision = "0017"


def upgrade(*, op: Operations, schema: str) -> None:
    """Create the table; a worker's process tells whether it is alive."""
    table = "dbosify_worker_instances"
    op.create_table(
        table,
        sa.Column("instance_key", sa.Text, primary_key=True),
        sa.Column("executor_id", sa.Text, nullable=False),
        sa.Column("task_queue", sa.Text, nullable=False),
        sa.Column("info", BYTEA, nullable=False),
        schema=schema,
        comment="dbosify: each worker that runs, with what it says of itself",
        if_not_exists=True,
    )
    op.create_index(
        f"{table}_task_queue", table, ["task_queue"], schema=schema, if_not_exists=True
    )
