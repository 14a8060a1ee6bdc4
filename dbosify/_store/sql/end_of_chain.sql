-- The newest run of a chain: how the workflow stands.
-- Index: dbosify_executions (workflow_id, run_number).
SELECT e.workflow_uuid, e.status, e.close_time
FROM {schema}.dbosify_executions e
WHERE e.workflow_id = %(workflow_id)s AND e.first_run_id = %(first_run_id)s
ORDER BY e.run_number DESC
LIMIT 1
