-- Put entries into the outbox, if the turn or the close that wants them was written.
-- Index: primary keys.
INSERT INTO {schema}.dbosify_outbox (
  entry_id, workflow_uuid, kind, event_id, events, due_at
)
SELECT o.entry_id, %(workflow_uuid)s, o.kind, o.event_id, o.events,
       {schema}.dbosify_now() + %(head_start)s * interval '1 second'
FROM unnest(
  %(entry_ids)s::text[], %(kinds)s::text[], %(event_ids)s::bigint[], %(events)s::bytea[]
) AS o (entry_id, kind, event_id, events)
WHERE CASE WHEN %(closed_at)s::timestamptz IS NULL THEN EXISTS (
    SELECT FROM {schema}.workflow_status
    WHERE workflow_uuid = %(workflow_uuid)s AND owner_xid = %(token)s
  ) ELSE EXISTS (
    -- A close takes the token away; its time tells whether it is ours.
    SELECT FROM {schema}.dbosify_executions
    WHERE workflow_uuid = %(workflow_uuid)s AND close_time = %(closed_at)s
  ) END
ON CONFLICT DO NOTHING
