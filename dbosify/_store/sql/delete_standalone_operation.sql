-- Delete a Nexus operation that a client started, open or over.
-- Index: primary key, dbosify_standalone_operations (operation_key).
WITH asked AS (
  DELETE FROM {schema}.dbosify_nexus_operations WHERE operation_key = %(key)s
)
DELETE FROM {schema}.dbosify_standalone_operations WHERE operation_key = %(key)s
