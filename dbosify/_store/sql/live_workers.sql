-- Which of these processes are alive; asked after their activities were locked.
-- Index: dbosify_workers' primary key.
SELECT executor_id FROM {schema}.dbosify_workers
WHERE executor_id = ANY(%(executor_ids)s)
  AND expires_at > '-infinity'
