-- Put an end to a batch operation that runs; tells whether there is one of that name.
-- Index: dbosify_batches' primary key.
WITH stopped AS (
  UPDATE {schema}.dbosify_batches
  SET state = 3, closed_at = {schema}.dbosify_now()
  WHERE job_id = %(job_id)s AND state = 1
  RETURNING job_id
)
SELECT EXISTS (SELECT FROM stopped) AS stopped
FROM {schema}.dbosify_batches WHERE job_id = %(job_id)s
