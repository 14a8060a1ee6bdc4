-- What the schema's namespace is registered as, held until the transaction ends.
-- Index: none; one row.
SELECT name, id::text AS id, registered FROM {schema}.dbosify_namespace FOR UPDATE
