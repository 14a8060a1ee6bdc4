-- An activity that is not over: by its own id, or by the id that its workflow gave it.
-- Index: dbosify_activities' primary key, dbosify_activities (run_id, …).
SELECT a.*, e.workflow_type, e.workflow_id,
       EXTRACT(epoch FROM a.attempt_scheduled_at)::float8 AS attempt_scheduled_s,
       EXTRACT(epoch FROM a.started_at)::float8 AS started_s,
       EXTRACT(epoch FROM a.completed_at)::float8 AS completed_s,
       EXTRACT(epoch FROM a.heartbeat_at)::float8 AS heartbeat_s
FROM {schema}.dbosify_activities a
LEFT JOIN {schema}.dbosify_executions e USING (workflow_uuid)
WHERE a.run_id = %(run_id)s
  AND (a.task_id = %(task_id)s OR a.activity_id = %(activity_id)s)
ORDER BY a.scheduled_event_id
LIMIT 1
