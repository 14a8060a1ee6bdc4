-- The build id sets of a task queue, held until the transaction ends; made if missing.
-- Index: dbosify_version_sets' primary key.
INSERT INTO {schema}.dbosify_version_sets AS s (task_queue, sets)
VALUES (%(task_queue)s, '[]')
ON CONFLICT (task_queue) DO UPDATE SET sets = s.sets
RETURNING sets
