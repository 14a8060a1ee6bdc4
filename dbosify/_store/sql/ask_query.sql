-- Leave a query for the worker that owns a run, or for any worker of its queue.
-- Index: none needed.
INSERT INTO {schema}.dbosify_queries (
  query_id, run_id, workflow_uuid, task_queue, request, min_inbox, expires_at
)
VALUES (%(query_id)s, %(run_id)s, %(workflow_uuid)s, %(task_queue)s, %(request)s,
        %(min_inbox)s, clock_timestamp() + %(ttl)s * interval '1 second')
