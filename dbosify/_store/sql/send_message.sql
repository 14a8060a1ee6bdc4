-- Put a message into the inbox of an open run and wake it; tell of the run in any case.
-- Index: dbosify_executions (workflow_id, run_number), primary keys; status row first.
WITH run AS (
  SELECT workflow_uuid, run_id, close_time, first_run_id, cancel_requested,
         execution_time
  FROM {schema}.dbosify_executions
  WHERE workflow_id = %(workflow_id)s
    AND (%(run_id)s::text IS NULL OR run_id = %(run_id)s)
  ORDER BY run_number DESC
  LIMIT 1
), known AS (
  SELECT n.message_uuid
  FROM run JOIN {schema}.notifications n
    ON n.message_uuid = %(message_id)s || '::' || run.workflow_uuid
), status AS (
  SELECT w.workflow_uuid, w.status, w.executor_id, w.queue_name, w.started_at_epoch_ms
  FROM run JOIN {schema}.workflow_status w USING (workflow_uuid)
  FOR NO KEY UPDATE OF w
), counted AS (
  UPDATE {schema}.dbosify_executions e
  SET inbox = e.inbox + 1, cancel_requested = e.cancel_requested OR %(cancel)s
  FROM status
  WHERE e.workflow_uuid = status.workflow_uuid
    AND e.close_time IS NULL
    AND NOT (%(cancel)s AND e.cancel_requested)
    AND (%(first_run_id)s::text IS NULL OR e.first_run_id = %(first_run_id)s)
    AND status.status <> 'CANCELLED'
    AND NOT EXISTS (SELECT FROM known)
  RETURNING e.workflow_uuid, e.inbox, e.execution_time
), sent AS (
  INSERT INTO {schema}.notifications (
    message_uuid, destination_uuid, topic, message, serialization
  )
  SELECT %(message_id)s || '::' || workflow_uuid, workflow_uuid, 'dbosify',
         json_build_object('n', inbox, 'history', %(event)s::text)::text,
         'portable_json'
  FROM counted
  ON CONFLICT DO NOTHING
), woken AS (
  UPDATE {schema}.workflow_status w
  SET status = 'ENQUEUED', delay_until_epoch_ms = NULL
  FROM counted JOIN status USING (workflow_uuid)
  WHERE w.workflow_uuid = counted.workflow_uuid
    AND status.status = 'DELAYED' -- as locked; the snapshot may be older
    AND NOT %(quiet)s
    AND (
      %(at_once)s OR counted.execution_time <= {schema}.dbosify_now()
      -- It has begun, so it waits for no moment; whose clock said when may be ahead.
      OR status.started_at_epoch_ms IS NOT NULL
    )
)
SELECT run.*, counted.inbox, status.status AS dbos_status, status.executor_id,
       status.queue_name, (SELECT count(*) FROM known) AS duplicates
FROM run LEFT JOIN counted USING (workflow_uuid) LEFT JOIN status USING (workflow_uuid)
