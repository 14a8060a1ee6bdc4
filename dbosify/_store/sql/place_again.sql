-- Queue again what waits in the queues of a deployment, so that it is placed anew.
-- Index: idx_workflow_status_in_flight_v2. A trigger on the status names the queue.
WITH mine AS (
  SELECT DISTINCT q.task_queue, q.kind
  FROM {schema}.dbosify_version_queues q JOIN {schema}.dbosify_versions v USING (version_id)
  WHERE v.deployment = %(name)s
), places AS (
  SELECT kind, task_queue AS queue FROM mine
  UNION ALL
  SELECT mine.kind, '/_sys/v' || q.version_id || '/' || mine.task_queue
  FROM mine JOIN {schema}.dbosify_version_queues q USING (task_queue, kind)
), names AS (
  SELECT CASE kind WHEN 2 THEN 'activity:' ELSE '' END || queue AS name
  FROM places WHERE kind IN (1, 2)
)
UPDATE {schema}.workflow_status w
SET status = 'ENQUEUED'
FROM names
WHERE w.queue_name = names.name
  AND w.status = 'ENQUEUED'
  AND w.status = ANY (ARRAY['ENQUEUED', 'PENDING'])
