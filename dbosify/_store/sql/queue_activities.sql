-- Queue activities that a run which begins as another one has still to do.
-- Index: primary keys.
WITH task AS (
  SELECT * FROM unnest(
    %(task_ids)s::text[], %(event_ids)s::bigint[], %(activity_ids)s::text[],
    %(types)s::text[], %(task_queues)s::text[], %(tasks)s::bytea[],
    %(cancelled)s::boolean[], %(deadlines)s::float8[], %(priorities)s::int[]
  ) AS t (task_id, event_id, activity_id, activity_type, task_queue, task, cancelled,
          deadline, priority)
), activity AS (
  INSERT INTO {schema}.dbosify_activities (
    task_id, run_id, workflow_uuid, scheduled_event_id, activity_id, activity_type,
    task_queue, task, attempt, state, scheduled_at, attempt_scheduled_at,
    cancel_requested, deadline
  )
  SELECT task_id, right(%(workflow_uuid)s, 36), %(workflow_uuid)s, event_id, activity_id,
         activity_type, task_queue, task, 1, 1, to_timestamp(%(now)s),
         to_timestamp(%(now)s), cancelled, to_timestamp(deadline)
  FROM task
)
INSERT INTO {schema}.workflow_status (
  workflow_uuid, status, name, queue_name, recovery_attempts, parent_workflow_id,
  serialization, priority
)
SELECT task_id, 'ENQUEUED', activity_type, 'activity:' || task_queue, 0,
       %(workflow_uuid)s, 'portable_json', priority
FROM task
