-- Change the indexed attributes and the memo of a run, in its turn's transaction.
-- Index: dbosify_executions (workflow_uuid), workflow_status' primary key.
UPDATE {schema}.dbosify_executions e
SET search_attributes = coalesce(%(search_attributes)s, e.search_attributes),
    memo = coalesce(%(memo)s, e.memo)
FROM {schema}.workflow_status w
WHERE e.workflow_uuid = %(workflow_uuid)s
  AND w.workflow_uuid = e.workflow_uuid
  AND w.owner_xid = %(token)s
