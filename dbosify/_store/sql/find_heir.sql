-- The run that a reset has put in the place of another, if there is one.
-- Index: dbosify_executions (workflow_uuid).
SELECT reset_run_id FROM {schema}.dbosify_executions
WHERE workflow_uuid = %(workflow_uuid)s AND reset_run_id IS NOT NULL
