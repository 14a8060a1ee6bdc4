-- An activity is over: drop it and tell its run, if the attempt is still the valid one.
-- Index: primary keys; the run's status row is locked first, as every sender does.
WITH attempt AS (
  SELECT a.task_id, a.workflow_uuid, a.eager
  FROM {schema}.dbosify_activities a
  WHERE a.task_id = %(task_id)s AND a.token IS NOT DISTINCT FROM %(token)s
), run AS (
  SELECT w.workflow_uuid, w.status, w.queue_name, w.executor_id
  FROM {schema}.workflow_status w JOIN attempt USING (workflow_uuid)
  FOR NO KEY UPDATE OF w
), ended AS (
  DELETE FROM {schema}.dbosify_activities a
  USING run JOIN attempt USING (workflow_uuid)
  WHERE a.task_id = %(task_id)s AND a.token IS NOT DISTINCT FROM %(token)s
    AND a.workflow_uuid = run.workflow_uuid
    -- Whoever lets go of an eager one adds a status row, which the snapshot may lack.
    AND a.eager = attempt.eager
  RETURNING a.task_id, a.workflow_uuid
), task AS (
  UPDATE {schema}.workflow_status w
  SET status = %(dbos_status)s, owner_xid = NULL, delay_until_epoch_ms = NULL,
      completed_at = (EXTRACT(epoch FROM now()) * 1000)::bigint
  FROM ended WHERE w.workflow_uuid = ended.task_id
), counted AS (
  UPDATE {schema}.dbosify_executions e
  SET inbox = e.inbox + 1
  FROM ended
  WHERE e.workflow_uuid = ended.workflow_uuid AND e.close_time IS NULL
  RETURNING e.workflow_uuid, e.inbox
), sent AS (
  INSERT INTO {schema}.notifications (
    message_uuid, destination_uuid, topic, message, serialization
  )
  SELECT 'ended::' || %(task_id)s || '::' || coalesce(%(token)s, ''), workflow_uuid,
         'dbosify',
         json_build_object('n', inbox, 'history', %(events)s::text)::text,
         'portable_json'
  FROM counted
), woken AS (
  UPDATE {schema}.workflow_status w
  SET status = 'ENQUEUED', delay_until_epoch_ms = NULL
  FROM counted JOIN run USING (workflow_uuid)
  WHERE w.workflow_uuid = counted.workflow_uuid
    AND run.status = 'DELAYED' -- as locked; the snapshot may be older
)
SELECT run.* FROM ended JOIN run USING (workflow_uuid)
