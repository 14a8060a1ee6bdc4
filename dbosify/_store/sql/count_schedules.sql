-- How many schedules there are.
-- Index: dbosify_schedules (created_at, schedule_id).
SELECT count(*) AS count
FROM {schema}.dbosify_schedules e
WHERE e.deleted_at IS NULL AND {condition}
