-- Add an operation whose handler is to be called, if it is not there yet.
-- Index: dbosify_nexus_operations' primary key.
INSERT INTO {schema}.dbosify_nexus_operations (
  operation_key, workflow_uuid, task_queue, scheduled, info, due_at, expires_at
)
VALUES (
  %(key)s, %(workflow_uuid)s, %(task_queue)s, %(scheduled)s, %(info)s,
  to_timestamp(%(due_at)s), to_timestamp(%(expires_at)s)
)
ON CONFLICT DO NOTHING
