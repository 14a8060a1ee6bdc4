-- The workers whose process is alive, perhaps of one task queue.
-- Index: dbosify_worker_instances (task_queue), dbosify_workers' primary key.
SELECT i.info, EXTRACT(epoch FROM clock_timestamp())::float8 AS seen_s
FROM {schema}.dbosify_worker_instances i
JOIN {schema}.dbosify_workers w USING (executor_id)
WHERE %(task_queue)s::text IS NULL OR i.task_queue = %(task_queue)s::text
ORDER BY i.instance_key
