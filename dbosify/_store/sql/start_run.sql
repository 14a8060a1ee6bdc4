-- Start a run unless the latest run of its workflow id forbids it; tell of the latest.
-- Index: dbosify_executions (workflow_id, run_number); a race makes ON CONFLICT skip.
WITH latest AS (
  SELECT run_id, run_number, close_time, status, start_request_id, first_run_id,
         workflow_uuid
  FROM {schema}.dbosify_executions
  WHERE workflow_id = %(workflow_id)s
  ORDER BY run_number DESC
  LIMIT 1
), pin AS (
  SELECT version_id FROM {schema}.dbosify_versions
  WHERE deployment = %(pin_deployment)s AND build_id = %(pin_build_id)s
), granted AS (
  -- Whoever wants to own it may not know the latest routes.
  SELECT coalesce(%(queue)s = {schema}.dbosify_place(
    %(task_queue)s, 1, %(workflow_id)s, (SELECT version_id FROM pin)
  ), false) AS owned
), run AS (
  INSERT INTO {schema}.dbosify_executions (
    run_id, workflow_id, run_number, workflow_uuid, workflow_type, task_queue, status,
    first_run_id, start_request_id, attempt, start_time, execution_time, expires_at,
    inbox, history_length, parent_workflow_id, parent_run_id, root_workflow_id,
    root_run_id, memo, search_attributes, started_event, pinned_to
  )
  SELECT %(run_id)s, %(workflow_id)s, coalesce((SELECT run_number FROM latest), 0) + 1,
         %(workflow_uuid)s, %(workflow_type)s, %(task_queue)s, 1, %(first_run_id)s,
         %(request_id)s, %(attempt)s, %(start_time)s, %(execution_time)s,
         %(expires_at)s, 0, %(history_length)s, %(parent_workflow_id)s,
         %(parent_run_id)s, %(root_workflow_id)s, %(root_run_id)s, %(memo)s,
         %(search_attributes)s, %(started)s, (SELECT version_id FROM pin)
  WHERE NOT EXISTS (
    SELECT FROM latest
    WHERE close_time IS NULL
       OR start_request_id = %(known_request)s
       OR NOT status = ANY(%(reusable)s::smallint[])
       OR EXISTS (
         SELECT FROM {schema}.notifications
         WHERE message_uuid = 'request::' || %(known_request)s || '::' || workflow_uuid
       )
  )
  ON CONFLICT DO NOTHING
  RETURNING workflow_uuid
), status AS (
  INSERT INTO {schema}.workflow_status (
    workflow_uuid, status, name, queue_name, executor_id, owner_xid, recovery_attempts,
    inputs, serialization, delay_until_epoch_ms, priority, started_at_epoch_ms
  )
  SELECT workflow_uuid,
         CASE WHEN owned THEN 'PENDING' ELSE %(dbos_status)s END, %(workflow_type)s,
         CASE WHEN owned THEN %(queue)s
              ELSE coalesce((SELECT '/_sys/v' || version_id || '/' FROM pin), '')
                || %(task_queue)s
         END,
         CASE WHEN owned THEN %(executor_id)s END, CASE WHEN owned THEN %(token)s END,
         0, NULL, 'portable_json', %(delay_until)s, %(priority)s,
         CASE WHEN owned
              THEN (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000)::bigint
         END
  FROM run, granted
), input AS (
  INSERT INTO {schema}.workflow_input (workflow_uuid, inputs)
  SELECT workflow_uuid, %(inputs)s FROM run
)
SELECT (SELECT count(*) FROM run) AS created, (SELECT owned FROM granted), latest.run_id, latest.close_time,
       latest.status, latest.start_request_id, latest.first_run_id, latest.workflow_uuid,
       EXISTS (
         SELECT FROM {schema}.notifications
         WHERE message_uuid
           = 'request::' || %(known_request)s || '::' || latest.workflow_uuid
       ) AS attached
FROM (SELECT 1) AS one LEFT JOIN latest ON true
