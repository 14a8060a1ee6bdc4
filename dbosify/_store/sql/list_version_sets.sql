-- The build id sets of some task queues, or of all.
-- Index: dbosify_version_sets' primary key.
SELECT task_queue, sets FROM {schema}.dbosify_version_sets
WHERE %(task_queues)s::text[] IS NULL OR task_queue = ANY(%(task_queues)s::text[])
ORDER BY task_queue
