-- Start an activity unless the latest one of its id forbids it; tell of the latest.
-- Index: dbosify_standalone (activity_id, run_number); a race makes ON CONFLICT skip.
WITH latest AS (
  SELECT run_id, run_number, close_time, status, start_request_id
  FROM {schema}.dbosify_standalone
  WHERE activity_id = %(activity_id)s
  ORDER BY run_number DESC
  LIMIT 1
), begun AS (
  INSERT INTO {schema}.dbosify_standalone (
    run_id, activity_id, run_number, task_id, activity_type, task_queue, status,
    start_request_id, start_time, execution_time, search_attributes, request,
    calls_back
  )
  SELECT %(run_id)s, %(activity_id)s,
         coalesce((SELECT run_number FROM latest), 0) + 1, %(task_id)s,
         %(activity_type)s, %(task_queue)s, 1, %(request_id)s, %(start_time)s,
         %(execution_time)s, %(search_attributes)s, %(request)s, %(calls_back)s
  WHERE NOT EXISTS (
    SELECT FROM latest
    WHERE close_time IS NULL
       OR start_request_id = %(request_id)s
       OR NOT status = ANY(%(reusable)s::smallint[])
  )
  ON CONFLICT DO NOTHING
  RETURNING task_id
), activity AS (
  INSERT INTO {schema}.dbosify_activities (
    task_id, run_id, scheduled_event_id, activity_id, activity_type, task_queue, task,
    attempt, state, scheduled_at, attempt_scheduled_at, deadline
  )
  SELECT task_id, %(run_id)s, 0, %(activity_id)s, %(activity_type)s, %(task_queue)s,
         %(task)s, 1, %(state)s, %(execution_time)s, %(execution_time)s,
         to_timestamp(%(deadline)s)
  FROM begun
), status AS (
  INSERT INTO {schema}.workflow_status (
    workflow_uuid, status, name, queue_name, recovery_attempts, serialization,
    priority, delay_until_epoch_ms
  )
  SELECT task_id,
         CASE WHEN %(delay_until)s::bigint IS NULL THEN 'ENQUEUED' ELSE 'DELAYED' END,
         %(activity_type)s, 'activity:' || %(task_queue)s, 0, 'portable_json',
         %(priority)s, %(delay_until)s
  FROM begun
), input AS (
  INSERT INTO {schema}.workflow_input (workflow_uuid, inputs)
  SELECT task_id, %(inputs)s FROM begun
)
SELECT (SELECT count(*) FROM begun) AS created, latest.run_id, latest.close_time,
       latest.status, latest.start_request_id
FROM (SELECT 1) AS one LEFT JOIN latest ON true
