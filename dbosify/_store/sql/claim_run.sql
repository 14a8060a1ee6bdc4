-- Take one run that is parked or queued, because somebody here must talk to it.
-- Index: workflow_status' primary key.
UPDATE {schema}.workflow_status w
SET status = 'PENDING', owner_xid = %(token)s, executor_id = %(executor_id)s,
    queue_name = %(queue)s,
    delay_until_epoch_ms = NULL,
    started_at_epoch_ms = (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000)::bigint
FROM {schema}.dbosify_executions e
WHERE w.workflow_uuid = %(workflow_uuid)s
  AND w.status = ANY (ARRAY['ENQUEUED', 'DELAYED'])
  AND e.workflow_uuid = w.workflow_uuid
RETURNING e.workflow_uuid, e.run_id, e.workflow_id, e.task_attempt, e.expires_at
