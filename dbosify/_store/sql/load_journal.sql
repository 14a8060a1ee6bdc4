-- All of a run: its start, then its steps in order.
-- Index: dbosify_executions (workflow_uuid), operation_outputs' primary key.
SELECT e.started_event, s.function_id, s.output
FROM {schema}.dbosify_executions e
LEFT JOIN {schema}.operation_outputs s USING (workflow_uuid)
WHERE e.workflow_uuid = %(workflow_uuid)s
ORDER BY s.function_id
