"""The clock of test databases: how far it is ahead.

The table stays empty elsewhere, and `dbosify_now()` does not look at it: a database
that skips time gets another body for that function (`_store/virtual_time.py`).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import INTERVAL

revision = "0004"
down_revision = "0003"


def upgrade(*, op: Operations, schema: str) -> None:
    """Create the table."""
    op.create_table(
        "dbosify_virtual_time",
        sa.Column("ahead", INTERVAL, nullable=False),
        schema=schema,
        comment="dbosify: in its only row, how far a test's clock is ahead",
        if_not_exists=True,
    )
