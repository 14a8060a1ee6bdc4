-- How many schedules there are.
-- Index: dbosify_schedules (created_at, schedule_id).
SELECT count(*) AS count FROM {schema}.dbosify_schedules WHERE deleted_at IS NULL
