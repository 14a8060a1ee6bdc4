-- Append turns: steps, consumed messages, activities begun and ended. Owned runs only.
-- Index: primary keys only; rows are locked in the order of their ids.
WITH turn AS (
  SELECT * FROM unnest(%(uuids)s::text[], %(tokens)s::text[])
    AS t (workflow_uuid, token)
), fence AS (
  SELECT w.workflow_uuid
  FROM {schema}.workflow_status w JOIN turn USING (workflow_uuid)
  WHERE w.owner_xid = turn.token
  ORDER BY w.workflow_uuid
  FOR NO KEY UPDATE OF w
), step AS (
  INSERT INTO {schema}.operation_outputs (
    workflow_uuid, function_id, function_name, output, started_at_epoch_ms,
    completed_at_epoch_ms, serialization
  )
  SELECT s.*, 'portable_json'
  FROM unnest(
    %(step_uuids)s::text[], %(step_ids)s::int[], %(step_names)s::text[],
    %(step_outputs)s::text[], %(step_started)s::bigint[], %(step_completed)s::bigint[]
  ) AS s (workflow_uuid, function_id, function_name, output, started, completed)
  JOIN fence USING (workflow_uuid)
), consumed AS (
  UPDATE {schema}.notifications n
  SET consumed = true
  FROM unnest(%(messages)s::text[]) AS m (message_uuid), fence
  WHERE n.message_uuid = m.message_uuid AND n.destination_uuid = fence.workflow_uuid
), ended AS (
  DELETE FROM {schema}.dbosify_activities a
  USING unnest(%(ended)s::text[]) AS d (task_id), fence
  WHERE a.task_id = d.task_id AND a.workflow_uuid = fence.workflow_uuid
), task AS (
  SELECT t.*
  FROM unnest(
    %(task_ids)s::text[], %(task_uuids)s::text[], %(event_ids)s::bigint[],
    %(activity_ids)s::text[], %(types)s::text[], %(task_queues)s::text[],
    %(tasks)s::bytea[], %(states)s::smallint[], %(scheduled)s::float8[],
    %(started)s::float8[], %(executors)s::text[], %(task_tokens)s::text[],
    %(identities)s::text[], %(deadlines)s::float8[], %(priorities)s::int[]
  ) AS t (task_id, workflow_uuid, event_id, activity_id, activity_type, task_queue,
          task, state, scheduled, started, executor_id, token, identity, deadline,
          priority)
  JOIN fence USING (workflow_uuid)
), activity AS (
  INSERT INTO {schema}.dbosify_activities (
    task_id, run_id, workflow_uuid, scheduled_event_id, activity_id, activity_type,
    task_queue, task, attempt, state, scheduled_at, attempt_scheduled_at, started_at,
    executor_id, token, worker_identity, eager, deadline
  )
  SELECT task_id, right(workflow_uuid, 36), workflow_uuid, event_id, activity_id,
         activity_type, task_queue, task, 1, state, to_timestamp(scheduled),
         to_timestamp(scheduled), to_timestamp(started), executor_id, token, identity,
         executor_id IS NOT NULL, to_timestamp(deadline)
  FROM task
), queued AS (
  INSERT INTO {schema}.workflow_status (
    workflow_uuid, status, name, queue_name, recovery_attempts, parent_workflow_id,
    serialization, priority
  )
  SELECT task_id, 'ENQUEUED', activity_type, 'activity:' || task_queue, 0,
         workflow_uuid, 'portable_json', priority
  FROM task WHERE executor_id IS NULL
)
SELECT workflow_uuid, true AS accepted FROM fence
