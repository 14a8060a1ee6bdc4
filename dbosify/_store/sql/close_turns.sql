-- Close runs with their last steps: only if still owned and nothing new has arrived.
-- Index: primary keys and dbosify_executions (workflow_uuid).
WITH closing AS (
  SELECT * FROM unnest(
    %(uuids)s::text[], %(tokens)s::text[], %(inboxes)s::bigint[],
    %(statuses)s::smallint[], %(dbos_statuses)s::text[], %(close_times)s::timestamptz[],
    %(history_lengths)s::int[], %(history_sizes)s::int[], %(next_run_ids)s::text[],
    %(outputs)s::text[], %(errors)s::text[], %(search_attributes)s::jsonb[],
    %(memos)s::bytea[]
  ) AS c (workflow_uuid, token, inbox, status, dbos_status, close_time, history_length,
          history_size, next_run_id, output, error, search_attributes, memo)
), fence AS (
  SELECT w.workflow_uuid
  FROM {schema}.workflow_status w JOIN closing USING (workflow_uuid)
  WHERE w.owner_xid = closing.token
  ORDER BY w.workflow_uuid
  FOR NO KEY UPDATE OF w
), ended AS (
  UPDATE {schema}.dbosify_executions e
  SET status = c.status, close_time = c.close_time, next_run_id = c.next_run_id,
      history_length = c.history_length, history_size = c.history_size,
      search_attributes = coalesce(c.search_attributes, e.search_attributes),
      memo = coalesce(c.memo, e.memo), task_failure = NULL
  FROM closing c JOIN fence USING (workflow_uuid)
  WHERE e.workflow_uuid = c.workflow_uuid
    AND (e.inbox = c.inbox OR e.inbox = c.inbox + (
      -- Unlike other messages, an update does not keep a run from its end.
      SELECT count(*) FROM {schema}.dbosify_updates u
      WHERE u.run_id = e.run_id AND u.number > c.inbox
    ))
    AND e.close_time IS NULL
  RETURNING e.workflow_uuid
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
  JOIN ended USING (workflow_uuid)
), consumed AS (
  UPDATE {schema}.notifications n
  SET consumed = true
  FROM unnest(%(messages)s::text[]) AS m (message_uuid), ended
  WHERE n.message_uuid = m.message_uuid AND n.destination_uuid = ended.workflow_uuid
), status AS (
  UPDATE {schema}.workflow_status w
  SET status = c.dbos_status, owner_xid = NULL, delay_until_epoch_ms = NULL,
      completed_at = (EXTRACT(epoch FROM c.close_time) * 1000)::bigint,
      updated_at = (EXTRACT(epoch FROM c.close_time) * 1000)::bigint
  FROM closing c JOIN ended USING (workflow_uuid)
  WHERE w.workflow_uuid = c.workflow_uuid
), output AS (
  INSERT INTO {schema}.workflow_output (workflow_uuid, output, error)
  SELECT c.workflow_uuid, c.output, c.error
  FROM closing c JOIN ended USING (workflow_uuid)
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
SELECT fence.workflow_uuid, ended.workflow_uuid IS NOT NULL AS accepted
FROM fence LEFT JOIN ended USING (workflow_uuid)
