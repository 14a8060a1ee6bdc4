-- Create a schedule, in place of a deleted one of its id if there is one.
-- Index: dbosify_schedules' primary key.
INSERT INTO {schema}.dbosify_schedules AS s (
  schedule_id, request_id, created_at, schedule, info, progress, conflict_token, paused,
  memo, search_attributes
)
VALUES (
  %(schedule_id)s, %(request_id)s, %(created_at)s, %(schedule)s, %(info)s, %(progress)s,
  %(conflict_token)s, %(paused)s, %(memo)s, %(search_attributes)s
)
ON CONFLICT (schedule_id) DO UPDATE
SET request_id = excluded.request_id, created_at = excluded.created_at,
    deleted_at = NULL, schedule = excluded.schedule, info = excluded.info,
    progress = excluded.progress, conflict_token = excluded.conflict_token,
    paused = excluded.paused, next_look = NULL, awaited_workflow_ids = NULL,
    awaited_run_ids = NULL, memo = excluded.memo,
    search_attributes = excluded.search_attributes
WHERE s.deleted_at IS NOT NULL
RETURNING schedule_id
