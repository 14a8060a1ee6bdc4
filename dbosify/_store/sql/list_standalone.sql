-- A page of activities: open ones first, then the last closed; the newest start first.
-- Index: dbosify_standalone_listed, or dbosify_standalone_attributes and a sort.
SELECT e.run_id, e.activity_id, e.activity_type, e.task_queue, e.status, e.start_time,
       e.execution_time, e.close_time, e.search_attributes, e.transitions
FROM {schema}.dbosify_standalone e
WHERE {condition}
  AND (%(run_id)s::text IS NULL
       OR (coalesce(e.close_time, 'infinity'), e.start_time, e.run_id)
          < (coalesce(%(close_time)s::timestamptz, 'infinity'),
             %(start_time)s::timestamptz, %(run_id)s::text))
ORDER BY coalesce(e.close_time, 'infinity') DESC, e.start_time DESC, e.run_id DESC
LIMIT %(limit)s::int
