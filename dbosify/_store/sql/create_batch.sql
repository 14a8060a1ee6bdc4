-- Begin a batch operation, unless there is one of that name.
-- Index: dbosify_batches' primary key.
INSERT INTO {schema}.dbosify_batches (job_id, request, state, started_at, targets)
VALUES (%(job_id)s, %(request)s, 1, {schema}.dbosify_now(), %(targets)s)
ON CONFLICT DO NOTHING
RETURNING job_id
