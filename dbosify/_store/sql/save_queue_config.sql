-- Keep what an operator set for a task queue, and what workers need to know of it.
-- Index: primary key.
UPDATE {schema}.dbosify_queue_configs
SET config = %(config)s, rate = %(rate)s, weights = %(weights)s::jsonb
WHERE task_queue = %(task_queue)s AND kind = %(kind)s
