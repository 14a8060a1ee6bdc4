-- Queue a run again if it is queued, so that it is placed anew, with its priority.
-- Index: workflow_status' primary key. A trigger on the status names the queue.
UPDATE {schema}.workflow_status
SET status = status, priority = %(priority)s
WHERE workflow_uuid = %(workflow_uuid)s
  AND status = ANY (ARRAY['ENQUEUED', 'PENDING', 'DELAYED'])
