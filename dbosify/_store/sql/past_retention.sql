-- What was closed longer ago than the namespace keeps it, some of each kind.
-- Index: dbosify_executions_listed, and those of both standalone tables.
WITH until AS MATERIALIZED (
  SELECT {schema}.dbosify_now() - make_interval(secs => %(seconds)s) AS moment
)
(SELECT 'run' AS kind, workflow_uuid AS id FROM {schema}.dbosify_executions
 WHERE coalesce(close_time, 'infinity') < (SELECT moment FROM until)
 ORDER BY coalesce(close_time, 'infinity') LIMIT %(limit)s)
UNION ALL
(SELECT 'activity', task_id FROM {schema}.dbosify_standalone
 WHERE coalesce(close_time, 'infinity') < (SELECT moment FROM until)
 ORDER BY coalesce(close_time, 'infinity') LIMIT %(limit)s)
UNION ALL
(SELECT 'operation', operation_key FROM {schema}.dbosify_standalone_operations
 WHERE coalesce(close_time, 'infinity') < (SELECT moment FROM until)
 ORDER BY coalesce(close_time, 'infinity') LIMIT %(limit)s)
