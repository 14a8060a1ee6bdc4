-- An attempt goes on outside of any worker: whoever has its token ends it.
-- Index: primary keys.
WITH handed_out AS (
  UPDATE {schema}.dbosify_activities
  SET eager = false, executor_id = NULL, deadline = to_timestamp(%(deadline)s)
  WHERE task_id = %(task_id)s AND token = %(token)s
  RETURNING task_id, activity_type, task_queue, workflow_uuid
)
INSERT INTO {schema}.workflow_status (
  workflow_uuid, status, name, queue_name, recovery_attempts, parent_workflow_id,
  serialization, owner_xid
)
SELECT task_id, 'PENDING', activity_type, 'activity:' || task_queue, 0, workflow_uuid,
       'portable_json', %(token)s
FROM handed_out
ON CONFLICT (workflow_uuid) DO UPDATE SET executor_id = NULL
RETURNING workflow_uuid
