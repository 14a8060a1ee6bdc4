-- Queue what is parked and due, the longest due first: runs, and activities that waited.
-- Index: idx_workflow_status_delayed, then the primary key.
UPDATE {schema}.workflow_status w
SET status = 'ENQUEUED', delay_until_epoch_ms = NULL
FROM (
  SELECT workflow_uuid FROM {schema}.workflow_status
  WHERE status = 'DELAYED'
    AND delay_until_epoch_ms
        <= (SELECT (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000)::bigint)
  ORDER BY delay_until_epoch_ms
  LIMIT %(limit)s
  FOR NO KEY UPDATE SKIP LOCKED
) AS due
WHERE w.workflow_uuid = due.workflow_uuid
RETURNING w.queue_name
