-- The namespace that a schema holds, also one that was not migrated for long.
-- Index: none; one row.
SELECT
  n.name,
  n.id::text AS id,
  decode(substr(to_jsonb(n) ->> 'registered', 3), 'hex') AS registered
FROM {schema}.dbosify_namespace n
LIMIT 1
