-- Queue the runs and activities of processes whose lease has run out, but for the locked.
-- Index: dbosify_workers (expires_at), idx_workflow_status_pending.
WITH dead AS (
  SELECT executor_id FROM {schema}.dbosify_workers
  WHERE expires_at < clock_timestamp()
  FOR UPDATE SKIP LOCKED
), orphans AS (
  -- A process that stands still may hold a lock until the database hangs up on it.
  SELECT w.workflow_uuid
  FROM {schema}.workflow_status w JOIN dead USING (executor_id)
  WHERE w.status = 'PENDING'
    AND NOT EXISTS (
      SELECT FROM {schema}.dbosify_activities a WHERE a.task_id = w.workflow_uuid
    )
  FOR NO KEY UPDATE OF w SKIP LOCKED
), queued AS (
  UPDATE {schema}.workflow_status w
  SET status = 'ENQUEUED', owner_xid = NULL, executor_id = NULL,
      recovery_attempts = w.recovery_attempts + 1
  FROM orphans
  WHERE w.workflow_uuid = orphans.workflow_uuid
  RETURNING w.queue_name
), held AS (
  SELECT DISTINCT executor_id
  FROM {schema}.workflow_status w JOIN dead USING (executor_id)
  WHERE w.status = 'PENDING'
    AND w.workflow_uuid NOT IN (SELECT workflow_uuid FROM orphans)
    AND NOT EXISTS (
      SELECT FROM {schema}.dbosify_activities a WHERE a.task_id = w.workflow_uuid
    )
), looked_at_again AS (
  -- The lease is lost for good, see renew_lease.sql.
  UPDATE {schema}.dbosify_workers l SET expires_at = '-infinity'
  FROM held WHERE l.executor_id = held.executor_id
), gone AS (
  DELETE FROM {schema}.dbosify_workers l
  USING dead
  WHERE l.executor_id = dead.executor_id
    AND l.executor_id NOT IN (SELECT executor_id FROM held)
)
SELECT queue_name FROM queued
