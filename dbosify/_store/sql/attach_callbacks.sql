-- Add to whom an update calls back, and see to it that it will.
-- Index: primary keys of dbosify_updates and dbosify_outbox.
WITH noted AS (
  -- The bytes of two messages in a row are those of both merged into one.
  UPDATE {schema}.dbosify_updates
  SET callbacks = coalesce(callbacks, ''::bytea) || %(callbacks)s::bytea
  WHERE run_id = %(run_id)s AND update_id = %(update_id)s
  RETURNING run_id
)
INSERT INTO {schema}.dbosify_outbox (
  entry_id, workflow_uuid, kind, event_id, events, due_at
)
SELECT %(entry_id)s, %(workflow_uuid)s, %(kind)s, %(event_id)s::bigint, %(events)s,
       {schema}.dbosify_now() + %(head_start)s * interval '1 second'
FROM noted
ON CONFLICT DO NOTHING
