-- A page of the schedules, newest first, from behind a creation time and id on.
-- Index: dbosify_schedules (created_at, schedule_id).
SELECT s.*, (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000000)::bigint AS now_us
FROM {schema}.dbosify_schedules s
WHERE s.deleted_at IS NULL
  AND (
    %(created_at)s::timestamptz IS NULL
    OR (s.created_at, s.schedule_id) < (%(created_at)s, %(schedule_id)s)
  )
ORDER BY s.created_at DESC, s.schedule_id DESC
LIMIT %(size)s
