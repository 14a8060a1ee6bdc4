-- Queue runs in the name of processes that nobody knows, as if their lease had run out.
-- Index: idx_workflow_status_pending, then primary keys.
WITH orphans AS (
  SELECT w.workflow_uuid
  FROM {schema}.workflow_status w
  JOIN {schema}.dbosify_executions e USING (workflow_uuid)
  WHERE w.status = 'PENDING'
    AND starts_with(w.executor_id, 'dbosify-')
    AND NOT EXISTS (
      SELECT FROM {schema}.dbosify_workers l WHERE l.executor_id = w.executor_id
    )
  FOR NO KEY UPDATE OF w SKIP LOCKED
)
UPDATE {schema}.workflow_status w
SET status = 'ENQUEUED', owner_xid = NULL, executor_id = NULL,
    recovery_attempts = w.recovery_attempts + 1
FROM orphans
WHERE w.workflow_uuid = orphans.workflow_uuid
RETURNING w.queue_name
