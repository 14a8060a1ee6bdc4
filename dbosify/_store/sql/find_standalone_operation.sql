-- A Nexus operation that a client started, by its ids; the latest if no run is named.
-- Index: dbosify_standalone_operations (operation_id, run_number), primary keys.
SELECT s.operation_id, s.run_id, s.operation_key, s.endpoint, s.service, s.operation,
       s.status, s.start_request_id, s.cancel_request_id, s.cancel_reason,
       s.end_request_id, s.start_time, s.close_time, s.search_attributes, s.request,
       s.outcome, s.links, s.transitions, coalesce(s.info, o.info) AS info,
       o.operation_key IS NOT NULL AS pending
FROM (
  SELECT * FROM {schema}.dbosify_standalone_operations
  WHERE operation_id = %(operation_id)s
    AND (%(run_id)s::text IS NULL OR run_id = %(run_id)s)
  ORDER BY run_number DESC
  LIMIT 1
) s
LEFT JOIN {schema}.dbosify_nexus_operations o ON o.operation_key = s.operation_key
