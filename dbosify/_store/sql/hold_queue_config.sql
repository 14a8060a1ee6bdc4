-- What an operator set for a task queue, held until the transaction ends.
-- Index: primary key.
INSERT INTO {schema}.dbosify_queue_configs AS c (task_queue, kind, config)
VALUES (%(task_queue)s, %(kind)s, '')
ON CONFLICT (task_queue, kind) DO UPDATE SET config = c.config
RETURNING config
