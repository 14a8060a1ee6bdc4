-- Forget an open run that was deleted through DBOS, so that its id is free again.
-- Index: dbosify_executions (workflow_uuid), workflow_status' primary key.
DELETE FROM {schema}.dbosify_executions e
WHERE e.workflow_uuid = %(workflow_uuid)s
  AND e.close_time IS NULL
  AND NOT EXISTS (
    SELECT FROM {schema}.workflow_status w WHERE w.workflow_uuid = e.workflow_uuid
  )
