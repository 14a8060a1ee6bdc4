-- The newest step of a run; it says how long the history is.
-- Index: operation_outputs' primary key.
SELECT function_id, output
FROM {schema}.operation_outputs
WHERE workflow_uuid = %(workflow_uuid)s
ORDER BY function_id DESC
LIMIT 1
