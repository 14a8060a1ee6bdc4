-- A batch operation by its name, with the number of its runs instead of all of them.
-- Index: dbosify_batches' primary key.
SELECT job_id, request, state, started_at, closed_at, position, failures,
       coalesce(jsonb_array_length(targets), 0) AS total
FROM {schema}.dbosify_batches
WHERE job_id = %(job_id)s
