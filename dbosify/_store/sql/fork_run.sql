-- Start a run that begins as another one: that one's first steps, and a step of its own.
-- Index: primary and unique keys; if the id was taken meanwhile, ON CONFLICT skips.
WITH base AS (
  SELECT * FROM {schema}.dbosify_executions WHERE workflow_uuid = %(base)s
), run AS (
  INSERT INTO {schema}.dbosify_executions (
    run_id, workflow_id, run_number, workflow_uuid, workflow_type, task_queue, status,
    first_run_id, start_request_id, attempt, start_time, execution_time, expires_at,
    history_length, parent_workflow_id, parent_run_id, root_workflow_id, root_run_id,
    memo, search_attributes, started_event, reset_at, version_id, pinned_to
  )
  SELECT %(run_id)s, workflow_id, %(run_number)s, %(workflow_uuid)s, workflow_type,
         task_queue, 1, first_run_id, %(request_id)s, attempt, %(start_time)s,
         %(start_time)s, %(expires_at)s, %(history_length)s, parent_workflow_id,
         parent_run_id, root_workflow_id, root_run_id, %(memo)s, %(search_attributes)s,
         %(started)s, %(start_time)s, (
           SELECT version_id FROM {schema}.dbosify_versions
           WHERE deployment = %(deployment)s AND build_id = %(build_id)s
         ), (
           SELECT version_id FROM {schema}.dbosify_versions
           WHERE deployment = %(pin_deployment)s AND build_id = %(pin_build_id)s
         )
  FROM base
  ON CONFLICT DO NOTHING
  RETURNING workflow_uuid, workflow_type, task_queue, pinned_to
), status AS (
  INSERT INTO {schema}.workflow_status (
    workflow_uuid, status, name, queue_name, recovery_attempts, serialization,
    forked_from, priority
  )
  SELECT workflow_uuid, 'ENQUEUED', workflow_type,
         coalesce('/_sys/v' || pinned_to || '/', '') || task_queue, 0, 'portable_json',
         %(base)s, (
           SELECT priority FROM {schema}.workflow_status WHERE workflow_uuid = %(base)s
         )
  FROM run
), forked AS (
  UPDATE {schema}.workflow_status w SET was_forked_from = true
  FROM run WHERE w.workflow_uuid = %(base)s
), told AS (
  UPDATE {schema}.dbosify_executions e SET reset_run_id = %(run_id)s
  FROM run WHERE e.workflow_uuid = %(base)s
), input AS (
  INSERT INTO {schema}.workflow_input (workflow_uuid, inputs)
  SELECT run.workflow_uuid, i.inputs
  FROM run, {schema}.workflow_input i WHERE i.workflow_uuid = %(base)s
), kept AS (
  INSERT INTO {schema}.operation_outputs (
    workflow_uuid, function_id, function_name, output, started_at_epoch_ms,
    completed_at_epoch_ms, serialization
  )
  SELECT run.workflow_uuid, s.function_id, s.function_name, s.output,
         s.started_at_epoch_ms, s.completed_at_epoch_ms, s.serialization
  FROM run, {schema}.operation_outputs s
  WHERE s.workflow_uuid = %(base)s AND s.function_id < %(step_id)s
), step AS (
  INSERT INTO {schema}.operation_outputs (
    workflow_uuid, function_id, function_name, output, started_at_epoch_ms,
    completed_at_epoch_ms, serialization
  )
  SELECT workflow_uuid, %(step_id)s, 'reset', %(step_output)s, %(step_ms)s, %(step_ms)s,
         'portable_json'
  FROM run
)
SELECT workflow_uuid FROM run
