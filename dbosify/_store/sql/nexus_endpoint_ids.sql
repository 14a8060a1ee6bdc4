-- The ids of the endpoints that have these names.
-- Index: dbosify_nexus_endpoints (name).
SELECT name, endpoint_id FROM {schema}.dbosify_nexus_endpoints
WHERE name = ANY (%(names)s)
