-- How many activities of a task queue may begin in a second, if an operator said so.
-- Index: primary key.
SELECT rate FROM {schema}.dbosify_queue_configs
WHERE task_queue = %(task_queue)s AND kind = 2 AND rate IS NOT NULL
