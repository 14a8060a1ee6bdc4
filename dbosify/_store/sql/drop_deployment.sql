-- Remove a worker deployment that the caller holds and that has no versions.
-- Index: dbosify_deployments' primary key.
DELETE FROM {schema}.dbosify_deployments WHERE name = %(name)s RETURNING name
