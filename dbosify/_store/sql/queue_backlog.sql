-- What waits in a queue: tasks by priority, and since when.
-- Index: idx_workflow_status_in_flight_v2.
SELECT w.priority, count(*) AS tasks,
  -- A fair place may lie ahead of the time at which it was given.
  least(min(w.created_at) / 1000.0, EXTRACT(epoch FROM now()))::float8 AS since
FROM {schema}.workflow_status w
WHERE w.queue_name = %(queue)s
  AND w.status = 'ENQUEUED'
  AND w.status = ANY (ARRAY['ENQUEUED', 'PENDING'])
GROUP BY w.priority
