-- Lock a run's status row before it is closed from outside.
-- Index: workflow_status' primary key.
SELECT status, owner_xid, executor_id FROM {schema}.workflow_status
WHERE workflow_uuid = %(workflow_uuid)s
FOR NO KEY UPDATE
