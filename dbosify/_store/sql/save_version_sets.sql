-- Change the build id sets of a task queue.
-- Index: dbosify_version_sets' primary key.
UPDATE {schema}.dbosify_version_sets SET sets = %(sets)s
WHERE task_queue = %(task_queue)s
