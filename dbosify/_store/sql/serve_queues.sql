-- Note that a version's worker is there for a task queue, by kind of tasks.
-- Index: dbosify_version_queues' primary key.
INSERT INTO {schema}.dbosify_version_queues (task_queue, kind, version_id, seen_at)
SELECT %(task_queue)s, kind, %(version_id)s, clock_timestamp()
FROM unnest(%(kinds)s::int[]) AS k (kind)
ORDER BY kind
ON CONFLICT (task_queue, kind, version_id) DO UPDATE SET seen_at = excluded.seen_at
RETURNING version_id
