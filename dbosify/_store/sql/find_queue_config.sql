-- What an operator set for a task queue, if anything was.
-- Index: primary key.
SELECT config FROM {schema}.dbosify_queue_configs
WHERE task_queue = %(task_queue)s AND kind = %(kind)s
