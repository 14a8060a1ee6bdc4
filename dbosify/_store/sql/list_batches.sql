-- Batch operations, the latest first, from a place in that order on.
-- Index: none; there are few.
SELECT job_id, request, state, started_at, closed_at
FROM {schema}.dbosify_batches
WHERE %(before)s::timestamptz IS NULL OR started_at < %(before)s
   OR (started_at = %(before)s AND job_id < %(job_id)s)
ORDER BY started_at DESC, job_id DESC
LIMIT %(limit)s
