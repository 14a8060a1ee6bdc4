-- Leave a query for the worker that owns a run, or for any worker of its queue.
-- Index: primary and unique keys.
INSERT INTO {schema}.dbosify_queries (
  query_id, run_id, workflow_uuid, task_queue, request, min_inbox, expires_at
)
SELECT %(query_id)s, %(run_id)s, e.workflow_uuid,
       CASE WHEN w.status = 'PENDING' THEN w.queue_name
            ELSE {schema}.dbosify_place(e.task_queue, 1, e.workflow_id, e.pinned_to) END,
       %(request)s, %(min_inbox)s,
       clock_timestamp() + %(ttl)s * interval '1 second'
FROM {schema}.dbosify_executions e JOIN {schema}.workflow_status w USING (workflow_uuid)
WHERE e.workflow_uuid = %(workflow_uuid)s
RETURNING query_id
