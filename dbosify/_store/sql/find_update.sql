-- An update of a run, with what became of the run.
-- Index: dbosify_executions (workflow_id, run_number), dbosify_updates' primary key.
WITH run AS (
  SELECT workflow_uuid, run_id, close_time, status AS run_status, first_run_id,
         task_attempt
  FROM {schema}.dbosify_executions
  WHERE workflow_id = %(workflow_id)s
    AND (%(run_id)s::text IS NULL OR run_id = %(run_id)s)
  ORDER BY run_number DESC
  LIMIT 1
)
SELECT run.*, u.stage, u.rejected, u.outcome, u.token
FROM run LEFT JOIN {schema}.dbosify_updates u
  ON u.run_id = run.run_id AND u.update_id = %(update_id)s
