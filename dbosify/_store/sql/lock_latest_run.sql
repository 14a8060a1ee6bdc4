-- Lock the status row of a run, or of the latest of a workflow id: what follows sees all.
-- Index: dbosify_executions (workflow_id, run_number), workflow_status' primary key.
WITH run AS (
  SELECT workflow_uuid
  FROM {schema}.dbosify_executions
  WHERE workflow_id = %(workflow_id)s
    AND (%(run_id)s::text IS NULL OR run_id = %(run_id)s)
  ORDER BY run_number DESC
  LIMIT 1
)
SELECT w.workflow_uuid
FROM run JOIN {schema}.workflow_status w USING (workflow_uuid)
FOR NO KEY UPDATE OF w
