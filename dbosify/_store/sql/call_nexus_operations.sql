-- Take operations whose handlers have to be called; the next call comes much later.
-- Index: dbosify_nexus_operations (task_queue, due_at), then primary keys.
UPDATE {schema}.dbosify_nexus_operations o
SET call = %(call)s,
    due_at = {schema}.dbosify_now() + %(seconds)s * interval '1 second'
FROM (
  SELECT n.operation_key, n.call AS unanswered
  FROM {schema}.dbosify_nexus_operations n
  LEFT JOIN {schema}.dbosify_executions e USING (workflow_uuid)
  WHERE n.task_queue = %(task_queue)s AND n.due_at <= (SELECT {schema}.dbosify_now())
    AND e.close_time IS NULL -- also where a client asked, and there is no run
  ORDER BY n.due_at
  LIMIT %(limit)s
  FOR UPDATE OF n SKIP LOCKED
) AS due
WHERE o.operation_key = due.operation_key
RETURNING o.*, due.unanswered,
          EXTRACT(epoch FROM o.due_at)::float8 AS due_s
