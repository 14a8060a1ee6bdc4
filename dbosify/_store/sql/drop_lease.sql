-- Leave the live workers.
-- Index: dbosify_workers' primary key.
DELETE FROM {schema}.dbosify_workers WHERE executor_id = %(executor_id)s
