-- A heartbeat of a running attempt; answers whether it was asked to end, and why.
-- Index: dbosify_activities' primary key.
UPDATE {schema}.dbosify_activities
SET heartbeat_at = to_timestamp(%(now)s), heartbeat_details = %(details)s,
    heartbeats = heartbeats + 1,
    deadline = CASE WHEN eager THEN NULL ELSE to_timestamp(%(deadline)s) END
WHERE task_id = %(task_id)s AND token = %(token)s
RETURNING cancel_requested, paused_at IS NOT NULL AS paused, reset_requested
