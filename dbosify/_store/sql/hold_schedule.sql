-- Leave a schedule alone for a while: it cannot be dealt with just now.
-- Index: dbosify_schedules' primary key.
UPDATE {schema}.dbosify_schedules
SET next_look = {schema}.dbosify_now() + make_interval(secs => %(seconds)s::float8),
    awaited_workflow_ids = NULL
WHERE schedule_id = %(schedule_id)s AND deleted_at IS NULL
