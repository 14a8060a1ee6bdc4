-- Forget a worker that has ended.
-- Index: dbosify_worker_instances' primary key.
DELETE FROM {schema}.dbosify_worker_instances WHERE instance_key = %(instance_key)s
