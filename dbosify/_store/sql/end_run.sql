-- Close a run from outside (terminated, out of time): whoever owns it writes nothing any more.
-- Index: primary keys; the caller holds the lock of the status row.
WITH ended AS (
  UPDATE {schema}.dbosify_executions
  SET status = %(status)s, close_time = %(close_time)s, task_failure = NULL,
      history_length = %(history_length)s, history_size = %(history_size)s,
      next_run_id = %(next_run_id)s
  WHERE workflow_uuid = %(workflow_uuid)s AND close_time IS NULL
  RETURNING workflow_uuid
), step AS (
  INSERT INTO {schema}.operation_outputs (
    workflow_uuid, function_id, function_name, output, started_at_epoch_ms,
    completed_at_epoch_ms, serialization
  )
  SELECT workflow_uuid, %(step_id)s, %(step_name)s, %(step_output)s, %(step_ms)s,
         %(step_ms)s, 'portable_json'
  FROM ended
), status AS (
  UPDATE {schema}.workflow_status w
  SET status = %(dbos_status)s, owner_xid = NULL, completed_at = %(step_ms)s,
      updated_at = %(step_ms)s, delay_until_epoch_ms = NULL
  FROM ended WHERE w.workflow_uuid = ended.workflow_uuid
), output AS (
  INSERT INTO {schema}.workflow_output (workflow_uuid, error)
  SELECT workflow_uuid, %(error)s FROM ended WHERE %(error)s::text IS NOT NULL
), activity AS (
  DELETE FROM {schema}.dbosify_activities a
  USING ended WHERE a.workflow_uuid = ended.workflow_uuid
  RETURNING a.task_id
), task AS (
  UPDATE {schema}.workflow_status w SET status = 'CANCELLED', owner_xid = NULL
  FROM activity
  WHERE w.workflow_uuid = activity.task_id
    AND w.status = ANY (ARRAY['ENQUEUED', 'PENDING', 'DELAYED'])
)
SELECT workflow_uuid FROM ended
