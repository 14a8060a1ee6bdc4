-- A page of runs: open ones first, then the last closed; the newest start first.
-- Index: dbosify_executions_listed, or dbosify_executions_attributes and a sort.
SELECT e.run_id, e.workflow_id, e.workflow_uuid, e.workflow_type, e.task_queue,
       e.status, e.start_time, e.execution_time, e.close_time, e.history_length,
       e.history_size, e.parent_workflow_id, e.parent_run_id, e.root_workflow_id,
       e.root_run_id, e.memo, e.search_attributes, w.status AS dbos_status,
       (SELECT array_agg(DISTINCT a.activity_type)
        FROM {schema}.dbosify_activities a
        WHERE a.run_id = e.run_id AND a.paused_at IS NOT NULL) AS paused_types
FROM (
  SELECT e.run_id FROM {schema}.dbosify_executions e
  WHERE {condition}
    AND (%(run_id)s::text IS NULL
         OR (coalesce(e.close_time, 'infinity'), e.start_time, e.run_id)
            < (coalesce(%(close_time)s::timestamptz, 'infinity'),
               %(start_time)s::timestamptz, %(run_id)s::text))
  ORDER BY coalesce(e.close_time, 'infinity') DESC, e.start_time DESC, e.run_id DESC
  LIMIT %(limit)s::int
) listed
JOIN {schema}.dbosify_executions e USING (run_id)
LEFT JOIN {schema}.workflow_status w ON w.workflow_uuid = e.workflow_uuid
ORDER BY coalesce(e.close_time, 'infinity') DESC, e.start_time DESC, e.run_id DESC
