-- A run by workflow id, and by run id or else the latest one.
-- Index: dbosify_executions (workflow_id, run_number), workflow_status' primary key.
SELECT e.*, w.status AS dbos_status, w.owner_xid, w.executor_id
FROM {schema}.dbosify_executions e
JOIN {schema}.workflow_status w USING (workflow_uuid)
WHERE e.workflow_id = %(workflow_id)s
  AND (%(run_id)s::text IS NULL OR e.run_id = %(run_id)s)
ORDER BY e.run_number DESC
LIMIT 1
