-- Queued activities whose deadline has come or whose worker is gone, locked.
-- Index: dbosify_activities (deadline), (executor_id), then primary keys.
WITH RECURSIVE executors AS (
  (
    SELECT executor_id FROM {schema}.dbosify_activities
    WHERE executor_id IS NOT NULL
    ORDER BY executor_id LIMIT 1
  )
  UNION ALL
  SELECT (
    SELECT a.executor_id FROM {schema}.dbosify_activities a
    WHERE a.executor_id > executors.executor_id
    ORDER BY a.executor_id LIMIT 1
  )
  FROM executors WHERE executors.executor_id IS NOT NULL
), due AS (
  (
    SELECT task_id FROM {schema}.dbosify_activities
    WHERE deadline <= (SELECT {schema}.dbosify_now()) AND NOT eager
    ORDER BY deadline LIMIT 100
  )
  UNION
  (
    SELECT lost.task_id
    FROM (
      SELECT executor_id FROM executors
      WHERE executor_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM {schema}.dbosify_workers live
        WHERE live.executor_id = executors.executor_id
          AND live.expires_at > '-infinity'
      )
      OFFSET 0
    ) AS dead
    CROSS JOIN LATERAL (
      SELECT a.task_id FROM {schema}.dbosify_activities a
      WHERE a.executor_id = dead.executor_id AND NOT a.eager
      LIMIT 100
    ) AS lost
    LIMIT 100
  )
)
SELECT a.*, e.workflow_type, e.workflow_id,
       EXTRACT(epoch FROM a.attempt_scheduled_at)::float8 AS attempt_scheduled_s,
       EXTRACT(epoch FROM a.started_at)::float8 AS started_s,
       EXTRACT(epoch FROM a.completed_at)::float8 AS completed_s,
       EXTRACT(epoch FROM a.heartbeat_at)::float8 AS heartbeat_s
FROM due
JOIN {schema}.dbosify_activities a USING (task_id)
LEFT JOIN {schema}.dbosify_executions e USING (workflow_uuid)
JOIN {schema}.workflow_status w ON w.workflow_uuid = a.task_id
WHERE NOT a.eager
  AND (
    a.deadline <= (SELECT {schema}.dbosify_now())
    OR NOT EXISTS (
      SELECT FROM {schema}.dbosify_workers live
      WHERE live.executor_id = a.executor_id AND live.expires_at > '-infinity'
    ) AND a.executor_id IS NOT NULL
  )
LIMIT 100
FOR NO KEY UPDATE OF w, a SKIP LOCKED
