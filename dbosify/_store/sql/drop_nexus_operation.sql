-- Forget an operation that is over.
-- Index: dbosify_nexus_operations' primary key.
DELETE FROM {schema}.dbosify_nexus_operations WHERE operation_key = %(key)s
