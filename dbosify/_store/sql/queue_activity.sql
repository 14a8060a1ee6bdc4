-- Put an activity (back) on its queue, now or after its back-off.
-- Index: workflow_status' primary key.
INSERT INTO {schema}.workflow_status (
  workflow_uuid, status, name, queue_name, recovery_attempts, parent_workflow_id,
  serialization, delay_until_epoch_ms
)
SELECT a.task_id,
       CASE WHEN %(delay_until)s::bigint IS NULL THEN 'ENQUEUED' ELSE 'DELAYED' END,
       a.activity_type, 'activity:' || a.task_queue, 0, a.workflow_uuid,
       'portable_json', %(delay_until)s
FROM {schema}.dbosify_activities a
WHERE a.task_id = %(task_id)s
ON CONFLICT (workflow_uuid) DO UPDATE
SET status = excluded.status, owner_xid = NULL, executor_id = NULL,
    delay_until_epoch_ms = excluded.delay_until_epoch_ms
