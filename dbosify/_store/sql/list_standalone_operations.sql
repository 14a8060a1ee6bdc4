-- A page of Nexus operations: open ones first, then the last closed; newest start first.
-- Index: dbosify_standalone_operations_listed, or its _attributes and a sort.
SELECT e.run_id, e.operation_id, e.endpoint, e.service, e.operation, e.status,
       e.start_time, e.close_time, e.search_attributes, e.transitions
FROM {schema}.dbosify_standalone_operations e
WHERE {condition}
  AND (%(run_id)s::text IS NULL
       OR (coalesce(e.close_time, 'infinity'), e.start_time, e.run_id)
          < (coalesce(%(close_time)s::timestamptz, 'infinity'),
             %(start_time)s::timestamptz, %(run_id)s::text))
ORDER BY coalesce(e.close_time, 'infinity') DESC, e.start_time DESC, e.run_id DESC
LIMIT %(limit)s::int
