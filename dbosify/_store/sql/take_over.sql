-- Queue the runs and activities of processes whose lease has run out.
-- Index: dbosify_workers (expires_at), idx_workflow_status_pending.
WITH dead AS (
  DELETE FROM {schema}.dbosify_workers
  WHERE executor_id IN (
    SELECT executor_id FROM {schema}.dbosify_workers
    WHERE expires_at < clock_timestamp()
    FOR UPDATE SKIP LOCKED
  )
  RETURNING executor_id
)
UPDATE {schema}.workflow_status w
SET status = 'ENQUEUED', owner_xid = NULL, executor_id = NULL,
    recovery_attempts = w.recovery_attempts + 1
FROM dead
WHERE w.executor_id = dead.executor_id
  AND w.status = 'PENDING'
  AND NOT EXISTS (
    SELECT FROM {schema}.dbosify_activities a WHERE a.task_id = w.workflow_uuid
  )
RETURNING w.queue_name
