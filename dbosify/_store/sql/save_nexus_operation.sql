-- Store an operation that the caller holds.
-- Index: dbosify_nexus_operations' primary key.
UPDATE {schema}.dbosify_nexus_operations
SET info = %(info)s, cancel = %(cancel)s, call = %(call)s,
    due_at = to_timestamp(%(due_at)s), expires_at = to_timestamp(%(expires_at)s)
WHERE operation_key = %(key)s
