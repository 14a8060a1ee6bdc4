-- Note that an activity's end is asked for; its status row is locked.
-- Index: primary key, dbosify_standalone (task_id).
WITH asked AS (
  UPDATE {schema}.dbosify_standalone
  SET cancel_request_id = %(request_id)s, cancel_reason = %(reason)s
  WHERE task_id = %(task_id)s
)
UPDATE {schema}.dbosify_activities SET cancel_requested = true
WHERE task_id = %(task_id)s
