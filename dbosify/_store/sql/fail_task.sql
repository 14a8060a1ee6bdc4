-- Note that a run's workflow task failed, how often, and with what.
-- Index: dbosify_executions (workflow_uuid), workflow_status' primary key.
UPDATE {schema}.dbosify_executions e
SET task_attempt = %(attempt)s, task_failure = %(failure)s
FROM {schema}.workflow_status w
WHERE e.workflow_uuid = %(workflow_uuid)s
  AND w.workflow_uuid = e.workflow_uuid
  AND w.owner_xid = %(token)s
