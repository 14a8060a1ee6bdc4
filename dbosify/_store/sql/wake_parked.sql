-- Queue what is parked and due: runs and activities whose time has come.
-- Index: idx_workflow_status_delayed.
UPDATE {schema}.workflow_status
SET status = 'ENQUEUED', delay_until_epoch_ms = NULL
WHERE status = 'DELAYED'
  AND delay_until_epoch_ms
      <= (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000)::bigint
RETURNING queue_name
