-- The namespace that a schema holds.
-- Index: none; one row.
SELECT name, id::text AS id FROM {schema}.dbosify_namespace LIMIT 1
