-- All of some runs: of each its start, then its steps in order.
-- Index: dbosify_executions (workflow_uuid), operation_outputs' primary key.
SELECT e.workflow_uuid, e.started_event, s.function_id, s.output
FROM {schema}.dbosify_executions e
LEFT JOIN {schema}.operation_outputs s USING (workflow_uuid)
WHERE e.workflow_uuid = ANY(%(workflow_uuids)s)
ORDER BY e.workflow_uuid, s.function_id
