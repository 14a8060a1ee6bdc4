-- Store what became of a schedule; the caller holds its lock.
-- Index: dbosify_schedules' primary key.
UPDATE {schema}.dbosify_schedules
SET schedule = %(schedule)s, info = %(info)s, progress = %(progress)s,
    conflict_token = %(conflict_token)s, paused = %(paused)s,
    next_look = %(next_look)s, deleted_at = %(deleted_at)s,
    awaited_workflow_ids = %(awaited_workflow_ids)s,
    awaited_run_ids = %(awaited_run_ids)s,
    search_attributes = %(search_attributes)s
WHERE schedule_id = %(schedule_id)s
