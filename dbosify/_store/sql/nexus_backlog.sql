-- The calls of Nexus handlers that wait for a worker of a task queue, and since when.
-- Index: dbosify_nexus_operations (task_queue, due_at).
SELECT 0 AS priority, count(*) AS tasks,
  EXTRACT(epoch FROM min(n.due_at))::float8 AS since
FROM {schema}.dbosify_nexus_operations n
WHERE n.task_queue = %(queue)s AND n.due_at <= {schema}.dbosify_now()
