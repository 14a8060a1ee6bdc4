-- Activities that were allowed to begin were not there: the next ones need not wait.
-- Index: primary key.
UPDATE {schema}.dbosify_rates
SET full_at = full_at - %(tasks)s / %(rate)s::float8
WHERE task_queue = %(task_queue)s
