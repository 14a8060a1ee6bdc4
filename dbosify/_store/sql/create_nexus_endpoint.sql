-- Add an endpoint unless its name is taken.
-- Index: dbosify_nexus_endpoints (name).
INSERT INTO {schema}.dbosify_nexus_endpoints (
  endpoint_id, name, version, task_queue, endpoint
)
VALUES (%(endpoint_id)s, %(name)s, 1, %(task_queue)s, %(endpoint)s)
ON CONFLICT DO NOTHING
RETURNING endpoint_id
