-- Open runs that are out of time; whoever closes one looks again under its lock.
-- Index: dbosify_executions_expires_at.
SELECT workflow_uuid
FROM {schema}.dbosify_executions
WHERE close_time IS NULL AND expires_at <= (SELECT {schema}.dbosify_now())
ORDER BY expires_at
LIMIT 100
