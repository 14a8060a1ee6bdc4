-- Whether any workflow task of a run was ever journaled.
-- Index: operation_outputs' primary key.
SELECT function_id
FROM {schema}.operation_outputs
WHERE workflow_uuid = %(workflow_uuid)s AND function_name <> 'terminate'
LIMIT 1
