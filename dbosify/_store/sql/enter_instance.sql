-- Enter a worker, or what has become of it, and forget those whose process is dead.
-- Index: primary keys of dbosify_worker_instances and dbosify_workers.
WITH forgotten AS (
  DELETE FROM {schema}.dbosify_worker_instances i
  WHERE i.instance_key <> %(instance_key)s AND NOT EXISTS (
    SELECT FROM {schema}.dbosify_workers w WHERE w.executor_id = i.executor_id
  )
)
INSERT INTO {schema}.dbosify_worker_instances
  (instance_key, executor_id, task_queue, info)
VALUES (%(instance_key)s, %(executor_id)s, %(task_queue)s, %(info)s)
ON CONFLICT (instance_key) DO UPDATE SET info = excluded.info
