-- A schedule, locked until the transaction ends, deleted ones too.
-- Index: dbosify_schedules' primary key.
SELECT s.*, (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000000)::bigint AS now_us
FROM {schema}.dbosify_schedules s
WHERE s.schedule_id = %(schedule_id)s
FOR NO KEY UPDATE
