-- Queued activities whose deadline has come or whose worker is gone, locked.
-- Index: dbosify_activities (deadline), (executor_id).
SELECT a.*, e.workflow_type, e.workflow_id,
       EXTRACT(epoch FROM a.attempt_scheduled_at)::float8 AS attempt_scheduled_s,
       EXTRACT(epoch FROM a.started_at)::float8 AS started_s,
       EXTRACT(epoch FROM a.completed_at)::float8 AS completed_s,
       EXTRACT(epoch FROM a.heartbeat_at)::float8 AS heartbeat_s
FROM {schema}.dbosify_activities a
LEFT JOIN {schema}.dbosify_executions e USING (workflow_uuid)
JOIN {schema}.workflow_status w ON w.workflow_uuid = a.task_id
LEFT JOIN {schema}.dbosify_workers live ON live.executor_id = a.executor_id
WHERE NOT a.eager
  AND (
    a.deadline <= {schema}.dbosify_now()
    OR (a.executor_id IS NOT NULL AND live.executor_id IS NULL)
  )
LIMIT 100
FOR NO KEY UPDATE OF w, a SKIP LOCKED
