-- Start a Nexus operation unless the latest one of its id forbids it; tell of the latest.
-- Index: dbosify_standalone_operations (operation_id, run_number); a race is skipped.
WITH latest AS (
  SELECT run_id, run_number, close_time, status, start_request_id
  FROM {schema}.dbosify_standalone_operations
  WHERE operation_id = %(operation_id)s
  ORDER BY run_number DESC
  LIMIT 1
), begun AS (
  INSERT INTO {schema}.dbosify_standalone_operations (
    run_id, operation_id, run_number, operation_key, endpoint, service, operation,
    status, start_request_id, start_time, search_attributes, request, transitions
  )
  SELECT %(run_id)s, %(operation_id)s,
         coalesce((SELECT run_number FROM latest), 0) + 1, %(key)s, %(endpoint)s,
         %(service)s, %(operation)s, 1, %(request_id)s, %(start_time)s,
         %(search_attributes)s, %(request)s, 1
  WHERE NOT EXISTS (
    SELECT FROM latest
    WHERE close_time IS NULL
       OR start_request_id = %(request_id)s
       OR NOT status = ANY(%(reusable)s::smallint[])
  )
  ON CONFLICT DO NOTHING
  RETURNING operation_key
), asked AS (
  INSERT INTO {schema}.dbosify_nexus_operations (
    operation_key, workflow_uuid, task_queue, scheduled, info, due_at, expires_at
  )
  SELECT operation_key, %(workflow_uuid)s, %(task_queue)s, %(scheduled)s, %(info)s,
         to_timestamp(%(due_at)s), to_timestamp(%(expires_at)s)
  FROM begun
)
SELECT (SELECT count(*) FROM begun) AS created, latest.run_id, latest.close_time,
       latest.status, latest.start_request_id
FROM (SELECT 1) AS one LEFT JOIN latest ON true
