"""${message}.

A step that may run again over its own result: see the package's docstring.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade(*, op: Operations, schema: str) -> None:
    """Make the change in `schema`."""
    op.execute(sa.text("SELECT 1"))
