-- Which of some runs are still open; DBOS's own cancellation counts as an end.
-- Index: workflow_status' primary key, dbosify_executions (workflow_uuid).
SELECT e.workflow_uuid
FROM {schema}.dbosify_executions e
JOIN {schema}.workflow_status w USING (workflow_uuid)
WHERE e.workflow_uuid = ANY(%(workflow_uuids)s)
  AND e.close_time IS NULL
  AND w.status <> 'CANCELLED'
