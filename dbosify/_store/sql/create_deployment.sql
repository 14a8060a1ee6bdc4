-- Add a worker deployment unless there is one of that name.
-- Index: dbosify_deployments' primary key.
INSERT INTO {schema}.dbosify_deployments (name, info, token, request_id, created_at)
VALUES (%(name)s, %(info)s, %(token)s, %(request_id)s, %(created_at)s)
ON CONFLICT DO NOTHING
RETURNING name
