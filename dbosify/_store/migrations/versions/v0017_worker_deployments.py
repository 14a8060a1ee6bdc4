"""Worker deployments: their versions, the queues these serve, and where runs go.

A run of a version waits in a queue of that version's own, so that workers claim as they
always do. `dbosify_place()` names the queue; statements that queue something ask it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP

revision = "0017"
down_revision = "0016"

_PLACE = """
CREATE OR REPLACE FUNCTION {schema}.dbosify_place(
  queue text, sort integer, key text, version integer
) RETURNS text LANGUAGE plpgsql STABLE AS $place$
DECLARE
  route {schema}.dbosify_routes;
  target integer := version;
BEGIN
  IF version IS NULL OR NOT EXISTS (
    SELECT FROM {schema}.dbosify_version_queues q
    WHERE q.task_queue = queue AND q.kind = sort AND q.version_id = version
  ) THEN
    SELECT * INTO route FROM {schema}.dbosify_routes r
    WHERE r.task_queue = queue AND r.kind = sort;
    IF NOT FOUND THEN
      RETURN queue;
    END IF;
    target := route.current_id;
    IF route.share > 0
      AND ('x' || left(md5(key), 8))::bit(32)::bigint % 10000 < route.share * 100 THEN
      target := route.ramping_id;
    END IF;
  END IF;
  RETURN CASE WHEN target IS NULL THEN queue
              ELSE '/_sys/v' || target || '/' || queue END;
END
$place$
"""


def upgrade(*, op: Operations, schema: str) -> None:
    """Create the tables and the function, and note versions of runs."""
    _create_deployments(op, schema)
    _create_queues(op, schema)
    quoted = op.get_bind().dialect.identifier_preparer.quote_identifier(schema)
    for column in ("version_id integer", "pinned_to integer", "versioning bytea"):
        op.execute(
            sa.text(
                f"ALTER TABLE {quoted}.dbosify_executions"
                f" ADD COLUMN IF NOT EXISTS {column}"
            )
        )
    op.execute(
        sa.text(
            "CREATE INDEX IF NOT EXISTS dbosify_executions_pinned"
            f" ON {quoted}.dbosify_executions (pinned_to)"
            " WHERE pinned_to IS NOT NULL AND close_time IS NULL"
        )
    )
    # Not as `sa.text`, which takes a colon in the body for a parameter of it.
    op.get_bind().exec_driver_sql(_PLACE.format(schema=quoted).replace("%", "%%"))
    op.execute(
        sa.text(
            f"COMMENT ON FUNCTION {quoted}.dbosify_place(text, integer, text, integer)"
            " IS 'dbosify: the DBOS queue for a task of a Temporal task queue'"
        )
    )


def _create_deployments(op: Operations, schema: str) -> None:
    op.create_table(
        "dbosify_deployments",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("info", BYTEA, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("created_at", TIMESTAMP(timezone=True), nullable=False),
        sa.Column("current_id", sa.Integer),
        sa.Column("ramping_id", sa.Integer),
        sa.Column("share", sa.REAL, nullable=False, server_default="0"),
        sa.Column("routed_at", TIMESTAMP(timezone=True)),
        schema=schema,
        comment="dbosify: each worker deployment, and which versions get new runs",
        if_not_exists=True,
    )
    op.create_table(
        "dbosify_versions",
        sa.Column("version_id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("build_id", sa.Text, nullable=False),
        sa.Column("info", BYTEA, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("deleted", sa.Boolean, nullable=False, server_default="false"),
        sa.UniqueConstraint("deployment", "build_id"),
        schema=schema,
        comment="dbosify: each version of a worker deployment; its number stays",
        if_not_exists=True,
    )


def _create_queues(op: Operations, schema: str) -> None:
    op.create_table(
        "dbosify_version_queues",
        sa.Column("task_queue", sa.Text, primary_key=True),
        sa.Column("kind", sa.SmallInteger, primary_key=True),
        sa.Column("version_id", sa.Integer, primary_key=True),
        sa.Column("seen_at", TIMESTAMP(timezone=True), nullable=False),
        schema=schema,
        comment="dbosify: the task queues that a version's workers serve or served",
        if_not_exists=True,
    )
    op.create_table(
        "dbosify_routes",
        sa.Column("task_queue", sa.Text, primary_key=True),
        sa.Column("kind", sa.SmallInteger, primary_key=True),
        sa.Column("current_id", sa.Integer),
        sa.Column("ramping_id", sa.Integer),
        sa.Column("share", sa.REAL, nullable=False),
        schema=schema,
        comment="dbosify: which versions get the tasks of a queue that are not pinned",
        if_not_exists=True,
    )
