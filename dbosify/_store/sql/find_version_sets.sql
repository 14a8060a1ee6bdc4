-- The version sets of some task queues, or of all that know a build id.
-- Index: primary key for some queues; a build id is looked for in all rows.
SELECT task_queue, sets FROM {schema}.dbosify_version_sets
WHERE task_queue = ANY (%(task_queues)s::text[])
   OR sets @> %(build_id)s::jsonb
ORDER BY task_queue
