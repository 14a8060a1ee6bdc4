"""Search attributes by name, and the indexes of lists.

A list goes through the runs in one order, so an index has that order. Typed attributes
are found through one index on the whole column, whatever their names.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0008"
down_revision = "0007"

_TABLE = "dbosify_executions"


def upgrade(*, op: Operations, schema: str) -> None:
    """Create everything that is not there yet."""
    op.create_table(
        "dbosify_search_attributes",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column(
            "created_at",
            TIMESTAMP(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
        schema=schema,
        comment="dbosify: each custom search attribute of the namespace",
        if_not_exists=True,
    )
    op.create_index(
        f"{_TABLE}_listed",
        _TABLE,
        [sa.text("coalesce(close_time, 'infinity')"), "start_time", "run_id"],
        schema=schema,
        # What is most often asked for is answered without a look at the rows.
        postgresql_include=["close_time", "status", "workflow_type", "workflow_id"],
        if_not_exists=True,
    )
    op.create_index(
        f"{_TABLE}_divided",
        _TABLE,
        ["run_id"],
        schema=schema,
        postgresql_where=sa.text("search_attributes ? 'TemporalNamespaceDivision'"),
        if_not_exists=True,
    )
    # Only lists ever asked for close times by index, and they have their own now.
    op.drop_index(f"{_TABLE}_close_time", _TABLE, schema=schema, if_exists=True)
    op.create_index(
        f"{_TABLE}_attributes",
        _TABLE,
        ["search_attributes"],
        schema=schema,
        postgresql_using="gin",
        postgresql_ops={"search_attributes": "jsonb_path_ops"},
        postgresql_where=sa.text("search_attributes IS NOT NULL"),
        if_not_exists=True,
    )
