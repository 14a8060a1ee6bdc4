-- Let a running activity go on without the run's owner: its outcome becomes a message.
-- Index: primary keys.
WITH detached AS (
  UPDATE {schema}.dbosify_activities
  SET eager = false, deadline = to_timestamp(%(deadline)s)
  WHERE task_id = %(task_id)s AND token = %(token)s
  RETURNING task_id, activity_type, task_queue, workflow_uuid
)
INSERT INTO {schema}.workflow_status (
  workflow_uuid, status, name, queue_name, recovery_attempts, parent_workflow_id,
  serialization, executor_id, owner_xid
)
SELECT task_id, 'PENDING', activity_type, 'activity:' || task_queue, 0, workflow_uuid,
       'portable_json', %(executor_id)s, %(token)s
FROM detached
ON CONFLICT DO NOTHING
