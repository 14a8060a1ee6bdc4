-- A worker deployment, locked until the transaction ends.
-- Index: dbosify_deployments' primary key.
SELECT name, info, token, request_id
FROM {schema}.dbosify_deployments
WHERE name = %(name)s
FOR UPDATE
