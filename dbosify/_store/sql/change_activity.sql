-- Change an activity as an operator wants, unless its attempt is another by now.
-- Index: primary keys; the task's status row is locked first, as claims do.
WITH task AS (
  SELECT workflow_uuid FROM {schema}.workflow_status
  WHERE workflow_uuid = %(task_id)s
  FOR NO KEY UPDATE
), saved AS (
  UPDATE {schema}.dbosify_activities
  SET task = %(task)s, task_queue = %(task_queue)s, attempt = %(attempt)s,
      state = %(state)s, attempt_scheduled_at = to_timestamp(%(attempt_scheduled)s),
      heartbeat_details
        = CASE WHEN %(forget_details)s THEN NULL ELSE heartbeat_details END,
      paused_at = to_timestamp(%(paused_at)s), paused_by = %(paused_by)s,
      pause_reason = %(pause_reason)s, reset_requested = %(reset_requested)s,
      token = %(new_token)s,
      executor_id = CASE WHEN token = %(new_token)s THEN executor_id END,
      deadline = CASE WHEN eager THEN NULL ELSE to_timestamp(%(deadline)s) END
  WHERE task_id = %(task_id)s
    AND token IS NOT DISTINCT FROM %(token)s
    AND attempt = %(known_attempt)s
    AND state = %(known_state)s
    AND (SELECT count(*) FROM task) >= 0 -- after the lock
  RETURNING task_id, state, task_queue, token, executor_id
), queued AS (
  UPDATE {schema}.workflow_status w
  SET status = CASE WHEN saved.state = 2 THEN w.status
                    WHEN %(delay_until)s::bigint IS NULL THEN 'ENQUEUED'
                    ELSE 'DELAYED' END,
      delay_until_epoch_ms
        = CASE WHEN saved.state = 2 THEN NULL ELSE %(delay_until)s::bigint END,
      queue_name = 'activity:' || saved.task_queue,
      owner_xid = saved.token, executor_id = saved.executor_id
  FROM saved WHERE w.workflow_uuid = saved.task_id
)
SELECT task_id FROM saved
