-- Endpoints in the order of their ids, all or those of a name, from `after` on.
-- Index: dbosify_nexus_endpoints' primary key.
SELECT endpoint_id, endpoint FROM {schema}.dbosify_nexus_endpoints
WHERE endpoint_id > %(after)s
  AND (%(name)s = '' OR name = %(name)s)
ORDER BY endpoint_id
LIMIT %(limit)s
