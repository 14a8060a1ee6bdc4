-- Forget an open run that was deleted through DBOS, so that its id is free again.
-- Index: dbosify_executions (workflow_uuid), primary keys.
WITH forgotten AS (
  DELETE FROM {schema}.dbosify_executions e
  WHERE e.workflow_uuid = %(workflow_uuid)s
    AND e.close_time IS NULL
    AND NOT EXISTS (
      SELECT FROM {schema}.workflow_status w WHERE w.workflow_uuid = e.workflow_uuid
    )
  RETURNING e.run_id
)
DELETE FROM {schema}.dbosify_updates u
USING forgotten
WHERE u.run_id = forgotten.run_id
