-- Change version sets that are held.
-- Index: dbosify_version_sets' primary key.
UPDATE {schema}.dbosify_version_sets SET sets = %(sets)s::jsonb
WHERE task_queue = %(task_queue)s
