-- Admit an update to an open run that does not know it, and wake the run; tell of both.
-- Index: dbosify_executions (workflow_id, run_number), primary keys; status row first.
WITH run AS (
  SELECT workflow_uuid, run_id, close_time, status AS run_status, first_run_id,
         task_attempt
  FROM {schema}.dbosify_executions
  WHERE workflow_id = %(workflow_id)s
    AND (%(run_id)s::text IS NULL OR run_id = %(run_id)s)
  ORDER BY run_number DESC
  LIMIT 1
), known AS (
  SELECT u.stage, u.outcome
  FROM run JOIN {schema}.dbosify_updates u USING (run_id)
  WHERE u.update_id = %(update_id)s AND NOT u.rejected
), tally AS (
  SELECT count(*) FILTER (WHERE u.stage < 3) AS in_flight,
         coalesce(sum(u.size) FILTER (WHERE u.stage < 3), 0)::bigint AS bytes_in_flight,
         count(*) FILTER (WHERE NOT u.rejected) AS total
  FROM run JOIN {schema}.dbosify_updates u USING (run_id)
), status AS (
  SELECT w.workflow_uuid, w.status, w.queue_name, w.started_at_epoch_ms
  FROM run JOIN {schema}.workflow_status w USING (workflow_uuid)
  FOR NO KEY UPDATE OF w
), counted AS (
  UPDATE {schema}.dbosify_executions e
  SET inbox = e.inbox + 1
  FROM status, tally
  WHERE e.workflow_uuid = status.workflow_uuid
    AND e.close_time IS NULL
    AND (%(first_run_id)s::text IS NULL OR e.first_run_id = %(first_run_id)s)
    AND status.status <> 'CANCELLED'
    AND e.task_attempt < %(failing_attempt)s
    AND tally.in_flight < %(most_in_flight)s
    AND tally.total < %(most_in_all)s
    AND tally.bytes_in_flight + %(size)s::bigint <= %(most_bytes)s
    AND NOT EXISTS (SELECT FROM known)
  RETURNING e.workflow_uuid, e.run_id, e.inbox, e.execution_time
), forgotten AS (
  -- Rejected ones are kept only until those who waited for them have read it.
  DELETE FROM {schema}.dbosify_updates u
  USING counted
  WHERE u.run_id = counted.run_id
    AND u.rejected
    AND u.update_id <> %(update_id)s
    AND u.answered_at < {schema}.dbosify_now() - interval '1 minute'
), admitted AS (
  INSERT INTO {schema}.dbosify_updates AS u (
    run_id, update_id, token, number, stage, size
  )
  SELECT run_id, %(update_id)s, %(token)s, inbox, 1, %(size)s::bigint FROM counted
  ON CONFLICT (run_id, update_id) DO UPDATE
  SET token = excluded.token, number = excluded.number, stage = 1, rejected = false,
      size = excluded.size, outcome = NULL, answered_at = NULL
  WHERE u.rejected
  RETURNING run_id
), sent AS (
  INSERT INTO {schema}.notifications (
    message_uuid, destination_uuid, topic, message, serialization
  )
  SELECT 'update::' || %(token)s || '::' || workflow_uuid, workflow_uuid, 'dbosify',
         json_build_object('n', inbox, 'history', %(event)s::text)::text,
         'portable_json'
  FROM counted JOIN admitted USING (run_id)
), woken AS (
  UPDATE {schema}.workflow_status w
  SET status = 'ENQUEUED', delay_until_epoch_ms = NULL
  FROM counted JOIN status USING (workflow_uuid)
  WHERE w.workflow_uuid = counted.workflow_uuid
    AND status.status = 'DELAYED' -- as locked; the snapshot may be older
    AND (
      counted.execution_time <= {schema}.dbosify_now()
      -- It has begun, so it waits for no moment; whose clock said when may be ahead.
      OR status.started_at_epoch_ms IS NOT NULL
    )
)
SELECT run.*, counted.inbox, status.status AS dbos_status, status.queue_name,
       known.stage, known.outcome, tally.in_flight, tally.total,
       tally.bytes_in_flight
FROM run CROSS JOIN tally
LEFT JOIN counted USING (workflow_uuid)
LEFT JOIN status USING (workflow_uuid)
LEFT JOIN known ON true
