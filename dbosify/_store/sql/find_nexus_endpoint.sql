-- An endpoint by its id, held until the caller's transaction ends.
-- Index: dbosify_nexus_endpoints' primary key.
SELECT endpoint, task_queue FROM {schema}.dbosify_nexus_endpoints
WHERE endpoint_id = %(endpoint_id)s
FOR UPDATE
