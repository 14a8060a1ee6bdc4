-- Hold an operation that is not over.
-- Index: dbosify_nexus_operations' primary key.
SELECT o.*, EXTRACT(epoch FROM o.due_at)::float8 AS due_s
FROM {schema}.dbosify_nexus_operations o
WHERE operation_key = %(key)s
FOR UPDATE
