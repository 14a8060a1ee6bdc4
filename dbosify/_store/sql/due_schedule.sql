-- A schedule that has a time due or else whose awaited action is over, locked.
-- Index: dbosify_schedules (next_look), awaited ones; dbosify_executions' open ones.
WITH due AS (
  SELECT s.* FROM {schema}.dbosify_schedules s
  WHERE s.deleted_at IS NULL
    AND s.next_look <= (SELECT {schema}.dbosify_now())
  ORDER BY s.next_look
  LIMIT 1
  FOR NO KEY UPDATE SKIP LOCKED
), awaiting AS (
  SELECT s.* FROM {schema}.dbosify_schedules s
  WHERE s.deleted_at IS NULL
    AND s.awaited_workflow_ids IS NOT NULL
    AND EXISTS (
      SELECT FROM unnest(s.awaited_workflow_ids, s.awaited_run_ids)
        AS awaited (workflow_id, run_id)
      WHERE NOT EXISTS (
        SELECT FROM {schema}.dbosify_executions e
        WHERE e.workflow_id = awaited.workflow_id
          AND e.first_run_id = awaited.run_id
          AND e.close_time IS NULL
      )
    )
  LIMIT 1
  FOR NO KEY UPDATE SKIP LOCKED
)
SELECT s.*, (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000000)::bigint AS now_us
FROM (
  -- Read only as far as the limit goes: who has a due one locks no other.
  SELECT * FROM due UNION ALL SELECT * FROM awaiting LIMIT 1
) s
