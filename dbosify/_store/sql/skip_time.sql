-- Set the clock ahead to whatever is due next, unless somebody is at work.
-- Index: idx_workflow_status_in_flight_v2; a test's database is small.
WITH moment AS MATERIALIZED (
  SELECT {schema}.dbosify_now() AS now
), busy AS (
  SELECT FROM {schema}.workflow_status
  WHERE status = ANY (ARRAY['ENQUEUED', 'PENDING'])
    AND NOT (%(despite_activities)s AND starts_with(queue_name, 'activity:'))
  UNION ALL
  SELECT FROM {schema}.dbosify_activities
  WHERE state = ANY (ARRAY[1, 2]) AND NOT %(despite_activities)s
  UNION ALL
  SELECT FROM {schema}.dbosify_outbox
  UNION ALL
  SELECT FROM {schema}.dbosify_nexus_operations, moment
  WHERE call IS NOT NULL OR due_at <= moment.now
  UNION ALL
  -- A schedule starts what waits for the end of an action as soon as that is over.
  SELECT FROM {schema}.dbosify_schedules s,
    unnest(s.awaited_workflow_ids, s.awaited_run_ids) AS awaited (workflow_id, run_id)
  WHERE s.deleted_at IS NULL AND NOT EXISTS (
    SELECT FROM {schema}.dbosify_executions e
    WHERE e.workflow_id = awaited.workflow_id AND e.first_run_id = awaited.run_id
      AND e.close_time IS NULL
  )
), due (at) AS (
  SELECT to_timestamp(delay_until_epoch_ms / 1000.0)
  FROM {schema}.workflow_status
  WHERE status = 'DELAYED' AND delay_until_epoch_ms < 9e15
  UNION ALL
  SELECT expires_at FROM {schema}.dbosify_executions WHERE close_time IS NULL
  UNION ALL
  SELECT deadline FROM {schema}.dbosify_activities
  UNION ALL
  SELECT next_look FROM {schema}.dbosify_schedules
  UNION ALL
  SELECT least(due_at, expires_at) FROM {schema}.dbosify_nexus_operations
), next AS (
  SELECT least(min(at), to_timestamp(%(until)s::float8)) AS at FROM due
)
UPDATE {schema}.dbosify_virtual_time
SET ahead = ahead + (next.at - moment.now)
FROM next, moment
WHERE next.at > moment.now AND NOT EXISTS (SELECT FROM busy)
RETURNING (EXTRACT(epoch FROM next.at) * 1000000)::bigint AS now_us
