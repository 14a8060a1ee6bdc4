-- When the next schedule is due, in microseconds from now, and whether ends are awaited.
-- Index: dbosify_schedules (next_look), awaited ones.
SELECT
  (
    SELECT (EXTRACT(epoch FROM s.next_look - {schema}.dbosify_now()) * 1000000)::bigint
    FROM {schema}.dbosify_schedules s
    WHERE s.next_look IS NOT NULL AND s.deleted_at IS NULL
    ORDER BY s.next_look
    LIMIT 1
  ) AS due_in_us,
  EXISTS (
    SELECT FROM {schema}.dbosify_schedules s
    WHERE s.awaited_workflow_ids IS NOT NULL AND s.deleted_at IS NULL
  ) AS awaits
