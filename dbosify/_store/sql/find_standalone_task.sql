-- What an activity that a client started was asked to do, and what came of it.
-- Index: dbosify_standalone (task_id).
SELECT activity_id, run_id, request, outcome FROM {schema}.dbosify_standalone
WHERE task_id = %(task_id)s
