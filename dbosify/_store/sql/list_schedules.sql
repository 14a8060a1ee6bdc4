-- A page of the schedules, newest first, from behind a creation time and id on.
-- Index: dbosify_schedules (created_at, schedule_id).
SELECT e.*, (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000000)::bigint AS now_us
FROM {schema}.dbosify_schedules e
WHERE e.deleted_at IS NULL
  AND {condition}
  AND (
    %(created_at)s::timestamptz IS NULL
    OR (e.created_at, e.schedule_id) < (%(created_at)s::timestamptz, %(schedule_id)s)
  )
ORDER BY e.created_at DESC, e.schedule_id DESC
LIMIT %(size)s
