-- Remove an endpoint.
-- Index: dbosify_nexus_endpoints' primary key.
DELETE FROM {schema}.dbosify_nexus_endpoints WHERE endpoint_id = %(endpoint_id)s
RETURNING endpoint_id
