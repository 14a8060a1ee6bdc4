-- Queue runs in this process's name that it does not know: their claim was cut off.
-- Index: idx_workflow_status_in_flight_v2.
UPDATE {schema}.workflow_status
SET status = 'ENQUEUED', owner_xid = NULL, executor_id = NULL
WHERE queue_name = %(queue)s
  AND status = 'PENDING'
  AND executor_id = %(executor_id)s
  AND NOT workflow_uuid = ANY(%(known)s)
  AND coalesce(started_at_epoch_ms, created_at)
      < (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000)::bigint - %(grace_ms)s
RETURNING workflow_uuid
