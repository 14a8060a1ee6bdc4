-- The operations of a run that are not over.
-- Index: dbosify_nexus_operations (workflow_uuid).
SELECT o.*, EXTRACT(epoch FROM o.due_at)::float8 AS due_s
FROM {schema}.dbosify_nexus_operations o
WHERE workflow_uuid = %(workflow_uuid)s
