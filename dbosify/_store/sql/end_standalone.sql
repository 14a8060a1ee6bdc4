-- An activity without a workflow is over, if the attempt is still the valid one.
-- Index: primary keys; the task's status row is locked first, as claims do.
WITH task AS (
  SELECT workflow_uuid, queue_name FROM {schema}.workflow_status
  WHERE workflow_uuid = %(task_id)s
  FOR NO KEY UPDATE
), ended AS (
  DELETE FROM {schema}.dbosify_activities a
  WHERE a.task_id = %(task_id)s AND a.token IS NOT DISTINCT FROM %(token)s
    AND (SELECT count(*) FROM task) >= 0 -- after the lock
  RETURNING a.task_id, a.heartbeats, a.cancel_requested, a.heartbeat_at,
            a.heartbeat_details
), status AS (
  UPDATE {schema}.workflow_status w
  SET status = %(dbos_status)s, owner_xid = NULL, delay_until_epoch_ms = NULL,
      completed_at = (EXTRACT(epoch FROM now()) * 1000)::bigint
  FROM ended WHERE w.workflow_uuid = ended.task_id
), told AS (
  UPDATE {schema}.dbosify_standalone s
  SET status = %(status)s, close_time = {schema}.dbosify_now(), outcome = %(outcome)s,
      attempt = %(attempt)s, started_at = to_timestamp(%(started)s),
      completed_at = to_timestamp(%(completed)s),
      heartbeat_at = greatest(ended.heartbeat_at, to_timestamp(%(heartbeat)s)),
      heartbeat_details = CASE
        WHEN ended.heartbeat_at > coalesce(to_timestamp(%(heartbeat)s), '-infinity')
        THEN ended.heartbeat_details ELSE %(details)s END,
      last_failure = %(failure)s, worker_identity = %(identity)s,
      heartbeats = ended.heartbeats,
      transitions = 2 * %(attempt)s + (%(started)s::float8 IS NOT NULL)::int
                    + ended.cancel_requested::int + ended.heartbeats
  FROM ended WHERE s.task_id = ended.task_id
  RETURNING s.task_id, s.calls_back
), owed AS (
  INSERT INTO {schema}.dbosify_outbox (
    entry_id, workflow_uuid, kind, event_id, events, due_at
  )
  SELECT %(report_id)s, task_id, %(report)s, 0, '',
         {schema}.dbosify_now() + %(head_start)s * interval '1 second'
  FROM told WHERE calls_back
  ON CONFLICT DO NOTHING
  RETURNING entry_id
)
SELECT task.*, (SELECT entry_id FROM owed) AS owed
FROM ended JOIN task ON task.workflow_uuid = ended.task_id
