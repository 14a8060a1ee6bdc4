-- A batch operation that is not over and that nobody is just at, locked.
-- Index: dbosify_batches (started_at) where it runs.
SELECT * FROM {schema}.dbosify_batches
WHERE state = 1
ORDER BY started_at
LIMIT 1
FOR NO KEY UPDATE SKIP LOCKED
