-- Take queued activities of a task queue; each gets a token that fences its outcome.
-- Index: idx_workflow_status_in_flight_v2, then primary keys.
WITH waiting AS (
  -- Asked only where processes share the queue: each takes its part of a burst.
  SELECT count(*) AS number FROM (
    SELECT FROM {schema}.workflow_status
    WHERE queue_name = %(queue)s
      AND status = 'ENQUEUED'
      AND status = ANY (ARRAY['ENQUEUED', 'PENDING'])
    LIMIT %(limit)s::bigint * %(processes)s::bigint
  ) AS counted
), due AS (
  SELECT workflow_uuid
  FROM {schema}.workflow_status
  WHERE queue_name = %(queue)s
    AND status = 'ENQUEUED'
    AND status = ANY (ARRAY['ENQUEUED', 'PENDING'])
  ORDER BY priority, created_at
  LIMIT CASE
    WHEN %(processes)s::bigint = 1 THEN %(limit)s::bigint
    ELSE (SELECT ceil(number / %(processes)s::numeric) FROM waiting)
  END
  FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
  UPDATE {schema}.workflow_status w
  SET status = 'PENDING', owner_xid = %(token)s, executor_id = %(executor_id)s,
      delay_until_epoch_ms = NULL
  FROM due
  WHERE w.workflow_uuid = due.workflow_uuid
  RETURNING w.workflow_uuid
), started AS (
  UPDATE {schema}.dbosify_activities a
  SET state = 2, started_at = to_timestamp(%(now)s), heartbeat_at = NULL,
      executor_id = %(executor_id)s, token = %(token)s, worker_identity = %(identity)s,
      deadline = to_timestamp(%(now)s) + interval '10 seconds'
  FROM claimed WHERE a.task_id = claimed.workflow_uuid
  RETURNING a.*
)
SELECT started.*, e.workflow_type, e.workflow_id,
       EXTRACT(epoch FROM started.attempt_scheduled_at)::float8 AS attempt_scheduled_s,
       EXTRACT(epoch FROM started.started_at)::float8 AS started_s,
       EXTRACT(epoch FROM started.completed_at)::float8 AS completed_s,
       EXTRACT(epoch FROM started.heartbeat_at)::float8 AS heartbeat_s,
       CASE WHEN %(processes)s::bigint > 1 THEN (SELECT number FROM waiting) END AS waiting
FROM started LEFT JOIN {schema}.dbosify_executions e USING (workflow_uuid)
