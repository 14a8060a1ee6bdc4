-- Start the next run of a chain, in the transaction that closed the one before it.
-- Index: dbosify_executions' primary and unique keys.
WITH previous AS (
  SELECT run_number, workflow_id, first_run_id, parent_workflow_id, parent_run_id,
         root_workflow_id, root_run_id
  FROM {schema}.dbosify_executions
  WHERE workflow_uuid = %(previous)s
    AND next_run_id = %(run_id)s
    AND close_time IS NOT NULL
), pin AS (
  SELECT version_id FROM {schema}.dbosify_versions
  WHERE deployment = %(pin_deployment)s AND build_id = %(pin_build_id)s
), run AS (
  INSERT INTO {schema}.dbosify_executions (
    run_id, workflow_id, run_number, workflow_uuid, workflow_type, task_queue, status,
    first_run_id, start_request_id, attempt, start_time, execution_time, expires_at,
    history_length, parent_workflow_id, parent_run_id, root_workflow_id, root_run_id,
    memo, search_attributes, started_event, pinned_to
  )
  SELECT %(run_id)s, workflow_id, run_number + 1, %(workflow_uuid)s, %(workflow_type)s,
         %(task_queue)s, 1, first_run_id, %(request_id)s, %(attempt)s, %(start_time)s,
         %(execution_time)s, %(expires_at)s, %(history_length)s, parent_workflow_id,
         parent_run_id, root_workflow_id, root_run_id, %(memo)s, %(search_attributes)s,
         %(started)s, (SELECT version_id FROM pin)
  FROM previous
  RETURNING workflow_uuid
), status AS (
  INSERT INTO {schema}.workflow_status (
    workflow_uuid, status, name, queue_name, executor_id, owner_xid, recovery_attempts,
    serialization, delay_until_epoch_ms, priority, started_at_epoch_ms
  )
  SELECT workflow_uuid,
         CASE WHEN %(queue)s::text IS NULL THEN %(dbos_status)s ELSE 'PENDING' END,
         %(workflow_type)s,
         coalesce(
           %(queue)s::text,
           (SELECT '/_sys/v' || version_id || '/' FROM pin) || %(task_queue)s,
           %(task_queue)s
         ),
         %(executor_id)s, %(token)s, 0, 'portable_json', %(delay_until)s, %(priority)s,
         CASE WHEN %(queue)s::text IS NOT NULL
              THEN (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000)::bigint
         END
  FROM run
)
INSERT INTO {schema}.workflow_input (workflow_uuid, inputs)
SELECT workflow_uuid, %(inputs)s FROM run
