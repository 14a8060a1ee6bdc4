-- Change a worker deployment that the caller holds.
-- Index: dbosify_deployments' primary key.
UPDATE {schema}.dbosify_deployments
SET info = %(info)s, token = %(token)s, current_id = %(current_id)s,
    ramping_id = %(ramping_id)s, share = %(share)s, routed_at = %(routed_at)s
WHERE name = %(name)s
RETURNING name
