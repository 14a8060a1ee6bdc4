-- Operations that are out of time.
-- Index: dbosify_nexus_operations (expires_at).
SELECT operation_key FROM {schema}.dbosify_nexus_operations
WHERE expires_at <= (SELECT {schema}.dbosify_now())
ORDER BY expires_at
LIMIT 100
