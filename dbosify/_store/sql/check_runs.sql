-- The owned runs of a process as the database sees them, to catch lost hints.
-- Index: workflow_status' primary key, dbosify_executions (workflow_uuid).
SELECT e.workflow_uuid, e.inbox, w.owner_xid
FROM {schema}.dbosify_executions e
JOIN {schema}.workflow_status w USING (workflow_uuid)
WHERE e.workflow_uuid = ANY(%(workflow_uuids)s)
