-- An activity that a client started, by its ids; the latest if no run is named.
-- Index: dbosify_standalone (activity_id, run_number), primary keys.
SELECT s.activity_id, s.run_id, s.task_id, s.activity_type, s.task_queue, s.status,
       s.start_request_id, s.cancel_request_id, s.cancel_reason, s.end_request_id,
       s.start_time, s.execution_time, s.close_time, s.search_attributes, s.request,
       s.outcome, a.task, a.state, a.eager, a.executor_id, a.token, a.workflow_uuid,
       a.paused_at, a.paused_by, a.pause_reason,
       coalesce(a.reset_requested, false) AS reset_requested, NULL AS workflow_id, NULL AS workflow_type,
       coalesce(a.cancel_requested, false) AS cancel_requested,
       coalesce(s.attempt, a.attempt) AS attempt,
       coalesce(s.heartbeats, a.heartbeats) AS heartbeats,
       coalesce(s.transitions,
                2 * a.attempt - 1 + (a.started_at IS NOT NULL)::int
                + a.cancel_requested::int + a.heartbeats) AS transitions,
       coalesce(s.heartbeat_details, a.heartbeat_details) AS heartbeat_details,
       coalesce(s.last_failure, a.last_failure) AS last_failure,
       coalesce(s.worker_identity, a.worker_identity) AS worker_identity,
       EXTRACT(epoch FROM a.attempt_scheduled_at)::float8 AS attempt_scheduled_s,
       EXTRACT(epoch FROM coalesce(s.started_at, a.started_at))::float8 AS started_s,
       EXTRACT(epoch FROM coalesce(s.completed_at, a.completed_at))::float8
         AS completed_s,
       EXTRACT(epoch FROM coalesce(s.heartbeat_at, a.heartbeat_at))::float8
         AS heartbeat_s
FROM (
  SELECT * FROM {schema}.dbosify_standalone
  WHERE activity_id = %(activity_id)s
    AND (%(run_id)s::text IS NULL OR run_id = %(run_id)s)
  ORDER BY run_number DESC
  LIMIT 1
) s
LEFT JOIN {schema}.dbosify_activities a ON a.task_id = s.task_id
