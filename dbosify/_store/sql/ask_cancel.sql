-- Note on activities that the workflow wants them to end; running ones hear of it.
-- Index: dbosify_activities' primary key, workflow_status' primary key.
UPDATE {schema}.dbosify_activities a
SET cancel_requested = true,
    worker_identity = CASE WHEN a.state = 2 THEN a.worker_identity
                           ELSE %(identity)s END,
    deadline = CASE WHEN a.eager OR a.state = 2 THEN a.deadline
                    ELSE {schema}.dbosify_now() END
FROM {schema}.workflow_status w
WHERE a.task_id = ANY(%(task_ids)s)
  AND w.workflow_uuid = a.workflow_uuid
  AND w.owner_xid = %(token)s
