-- A task queue's version sets, held until the caller's transaction ends; empty at first.
-- Index: dbosify_version_sets' primary key.
INSERT INTO {schema}.dbosify_version_sets AS v (task_queue, sets)
VALUES (%(task_queue)s, '[]')
ON CONFLICT (task_queue) DO UPDATE SET sets = v.sets
RETURNING v.task_queue, v.sets
