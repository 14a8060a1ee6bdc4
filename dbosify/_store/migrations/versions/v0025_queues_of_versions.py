"""What is queued waits in the queue of the version that gets it.

A trigger names that queue whenever a run or an activity is queued, whatever statement
does it: started, woken, given up, taken over, or placed anew because the routing has
changed. So no statement can forget it, and those that claim need not know of versions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0025"
down_revision = "0024"

# 0017's, but for the share of workflow ids that ramp: it is a whole number, so that
# whoever computes the same elsewhere comes to the same.
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
    IF ('x' || left(md5(key), 8))::bit(32)::bigint % 10000
      < floor(route.share * 100 + 0.5) THEN
      target := route.ramping_id;
    END IF;
  END IF;
  RETURN CASE WHEN target IS NULL THEN queue
              ELSE '/_sys/v' || target || '/' || queue END;
END
$place$
"""

# A new row may say itself that it is pinned: its execution is not visible yet.
_TRIGGER = """
CREATE OR REPLACE FUNCTION {schema}.dbosify_queue_in_place()
RETURNS trigger LANGUAGE plpgsql AS $place$
DECLARE
  queue text := NEW.queue_name;
  sort integer := 1;
  pinned integer;
  used integer;
  key text;
BEGIN
  IF NOT EXISTS (SELECT FROM {schema}.dbosify_version_queues) THEN
    RETURN NEW;
  END IF;
  IF starts_with(queue, 'activity:') THEN
    sort := 2;
    queue := substr(queue, 10);
  END IF;
  IF starts_with(queue, '/_sys/v') THEN
    IF TG_OP = 'INSERT' THEN
      RETURN NEW;
    END IF;
    queue := substr(queue, 8 + strpos(substr(queue, 8), '/'));
  END IF;
  SELECT e.workflow_id, e.pinned_to, e.version_id INTO key, pinned, used
  FROM {schema}.dbosify_executions e
  WHERE e.workflow_uuid
    = CASE sort WHEN 1 THEN NEW.workflow_uuid ELSE NEW.parent_workflow_id END;
  IF sort = 2 THEN
    NEW.queue_name := 'activity:' || {schema}.dbosify_place(
      queue, sort, coalesce(key, NEW.workflow_uuid), coalesce(pinned, used));
  ELSE
    NEW.queue_name := {schema}.dbosify_place(
      queue, sort, coalesce(key, left(NEW.workflow_uuid, -37)), pinned);
  END IF;
  RETURN NEW;
END
$place$
"""


def upgrade(*, op: Operations, schema: str) -> None:
    """Create the trigger."""
    quoted = op.get_bind().dialect.identifier_preparer.quote_identifier(schema)
    for body in (_PLACE, _TRIGGER):
        # Not as `sa.text`, which takes a colon in the body for a parameter of it.
        statement = body.format(schema=quoted).replace("%", "%%")
        op.get_bind().exec_driver_sql(statement)
    op.execute(
        sa.text(
            f"COMMENT ON FUNCTION {quoted}.dbosify_queue_in_place()"
            " IS 'dbosify: puts what is queued into the queue of its version'"
        )
    )
    op.execute(
        sa.text(
            "CREATE OR REPLACE TRIGGER dbosify_queue_in_place"
            f" BEFORE INSERT OR UPDATE OF status ON {quoted}.workflow_status FOR EACH"
            " ROW WHEN (NEW.status = 'ENQUEUED' AND NEW.queue_name IS NOT NULL)"
            f" EXECUTE FUNCTION {quoted}.dbosify_queue_in_place()"
        )
    )
