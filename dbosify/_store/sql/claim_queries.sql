-- Take queries for a task queue: of closed runs, of own runs, of runs nobody owns.
-- Index: dbosify_queries (task_queue, created_at).
WITH due AS (
  SELECT q.query_id
  FROM {schema}.dbosify_queries q
  JOIN {schema}.workflow_status w ON w.workflow_uuid = q.workflow_uuid
  WHERE q.task_queue = %(queue)s
    AND q.answer IS NULL
    AND q.executor_id IS NULL
    AND q.expires_at > clock_timestamp()
    AND (w.status <> 'PENDING' OR w.executor_id = %(executor_id)s)
  ORDER BY q.created_at
  LIMIT 50
  FOR UPDATE OF q SKIP LOCKED
)
UPDATE {schema}.dbosify_queries q
SET executor_id = %(executor_id)s
FROM due
WHERE q.query_id = due.query_id
RETURNING q.query_id, q.workflow_uuid, q.run_id, q.request, q.min_inbox
