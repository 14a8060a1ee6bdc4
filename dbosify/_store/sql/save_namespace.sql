-- Write what the schema's namespace is registered as, in its only row.
-- Index: none; one row.
UPDATE {schema}.dbosify_namespace SET registered = %(registered)s
