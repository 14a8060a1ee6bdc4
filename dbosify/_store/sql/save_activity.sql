-- Store where an activity stands: a new attempt, a heartbeat, a cancel request.
-- Index: dbosify_activities' primary key; the token fences stale attempts off.
UPDATE {schema}.dbosify_activities
SET attempt = %(attempt)s, state = %(state)s, cancel_requested = %(cancel_requested)s,
    attempt_scheduled_at = to_timestamp(%(attempt_scheduled)s),
    started_at = to_timestamp(%(started)s), heartbeat_at = to_timestamp(%(heartbeat)s),
    heartbeat_details = %(details)s, last_failure = %(failure)s,
    worker_identity = %(identity)s, executor_id = %(executor_id)s, token = %(new_token)s,
    eager = %(eager)s, deadline = to_timestamp(%(deadline)s)
WHERE task_id = %(task_id)s AND token IS NOT DISTINCT FROM %(token)s
RETURNING task_id
