-- An attempt is over, the activity is not: store it and queue the next attempt.
-- Index: primary keys; the task's status row is locked first, as claims do.
WITH task AS (
  SELECT workflow_uuid FROM {schema}.workflow_status
  WHERE workflow_uuid = %(task_id)s
  FOR NO KEY UPDATE
), saved AS (
  UPDATE {schema}.dbosify_activities
  SET attempt = %(attempt)s, state = %(state)s, eager = false,
      cancel_requested = %(cancel_requested)s,
      attempt_scheduled_at = to_timestamp(%(attempt_scheduled)s),
      completed_at = to_timestamp(%(completed)s), started_at = NULL,
      -- Somebody else may have beaten for it, of which its own process knows nothing.
      heartbeat_details = CASE
        WHEN heartbeat_at > coalesce(to_timestamp(%(heartbeat)s), '-infinity')
        THEN heartbeat_details ELSE %(details)s END,
      heartbeat_at = greatest(heartbeat_at, to_timestamp(%(heartbeat)s)),
      last_failure = %(failure)s, executor_id = NULL, token = NULL,
      deadline = to_timestamp(%(deadline)s), reset_requested = false
  WHERE task_id = %(task_id)s
    AND token IS NOT DISTINCT FROM %(token)s
    AND (SELECT count(*) FROM task) >= 0 -- after the lock
  RETURNING task_id, activity_type, task_queue, workflow_uuid, paused_at
)
INSERT INTO {schema}.workflow_status (
  workflow_uuid, status, name, queue_name, recovery_attempts, parent_workflow_id,
  serialization, priority, delay_until_epoch_ms
)
SELECT task_id,
       CASE WHEN %(delay_until)s::bigint IS NULL AND paused_at IS NULL
            THEN 'ENQUEUED' ELSE 'DELAYED' END,
       activity_type, 'activity:' || task_queue, 0, workflow_uuid, 'portable_json',
       %(priority)s,
       CASE WHEN paused_at IS NULL THEN %(delay_until)s::bigint ELSE %(for_ever)s END
FROM saved
ON CONFLICT (workflow_uuid) DO UPDATE
SET status = excluded.status, owner_xid = NULL, executor_id = NULL,
    priority = excluded.priority, delay_until_epoch_ms = excluded.delay_until_epoch_ms
RETURNING workflow_uuid
