-- Change an endpoint that the caller holds, unless another one has its name.
-- Index: dbosify_nexus_endpoints' primary key, and (name).
UPDATE {schema}.dbosify_nexus_endpoints
SET name = %(name)s, version = %(version)s, task_queue = %(task_queue)s,
    endpoint = %(endpoint)s
WHERE endpoint_id = %(endpoint_id)s
  AND NOT EXISTS (
    SELECT FROM {schema}.dbosify_nexus_endpoints
    WHERE name = %(name)s AND endpoint_id <> %(endpoint_id)s
  )
RETURNING endpoint_id
