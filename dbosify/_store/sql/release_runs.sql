-- Give runs up: parked until their next timer, or queued if something waits for them.
-- Index: primary keys.
WITH released AS (
  SELECT * FROM unnest(
    %(uuids)s::text[], %(tokens)s::text[], %(wake_at)s::bigint[], %(inboxes)s::bigint[]
  ) AS r (workflow_uuid, token, wake_at, inbox)
), fence AS (
  SELECT w.workflow_uuid
  FROM {schema}.workflow_status w JOIN released USING (workflow_uuid)
  WHERE w.owner_xid = released.token
  ORDER BY w.workflow_uuid
  FOR NO KEY UPDATE OF w
), latest AS (
  -- Locked, so that a message sent while we waited for the fence is seen.
  SELECT e.workflow_uuid, e.inbox
  FROM {schema}.dbosify_executions e JOIN fence USING (workflow_uuid)
  FOR SHARE OF e
)
UPDATE {schema}.workflow_status w
SET status = CASE WHEN r.wake_at IS NULL OR e.inbox <> r.inbox
                  THEN 'ENQUEUED' ELSE 'DELAYED' END,
    delay_until_epoch_ms = r.wake_at, owner_xid = NULL, executor_id = NULL
FROM released r JOIN latest e USING (workflow_uuid)
WHERE w.workflow_uuid = r.workflow_uuid
RETURNING w.workflow_uuid, w.status, w.queue_name
