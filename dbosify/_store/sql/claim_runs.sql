-- Take queued runs of a task queue; their journal and messages are read next.
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
      delay_until_epoch_ms = NULL,
      started_at_epoch_ms
        = (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000)::bigint
  FROM due
  WHERE w.workflow_uuid = due.workflow_uuid
  RETURNING w.workflow_uuid
)
SELECT e.workflow_uuid, e.run_id, e.workflow_id, e.task_attempt, e.expires_at,
       CASE WHEN %(processes)s::bigint > 1 THEN (SELECT number FROM waiting) END AS waiting
FROM claimed JOIN {schema}.dbosify_executions e USING (workflow_uuid)
