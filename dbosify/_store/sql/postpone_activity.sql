-- Correct when a running activity must be looked at again.
-- Index: dbosify_activities' primary key.
UPDATE {schema}.dbosify_activities
SET deadline = to_timestamp(%(deadline)s)
WHERE task_id = %(task_id)s
