-- A schedule, deleted ones too, and the database's clock in microseconds since 1970.
-- Index: dbosify_schedules' primary key.
SELECT s.*, (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000000)::bigint AS now_us
FROM {schema}.dbosify_schedules s
WHERE s.schedule_id = %(schedule_id)s
