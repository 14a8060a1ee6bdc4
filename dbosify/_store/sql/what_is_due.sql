-- What there is to do in the namespace, by kind, so that nobody looks for each by itself.
-- Index: of each kind its own, read in its order, so that one row of it answers.
WITH moment AS MATERIALIZED (
  SELECT {schema}.dbosify_now() AS now
), executors AS (
  WITH RECURSIVE step AS (
    (
      SELECT executor_id FROM {schema}.dbosify_activities
      WHERE executor_id IS NOT NULL
      ORDER BY executor_id LIMIT 1
    )
    UNION ALL
    SELECT (
      SELECT a.executor_id FROM {schema}.dbosify_activities a
      WHERE a.executor_id > step.executor_id
      ORDER BY a.executor_id LIMIT 1
    )
    FROM step WHERE step.executor_id IS NOT NULL
  )
  SELECT executor_id FROM step WHERE executor_id IS NOT NULL
)
SELECT
  (
    SELECT w.delay_until_epoch_ms
    FROM {schema}.workflow_status w
    WHERE w.status = 'DELAYED'
    ORDER BY w.delay_until_epoch_ms LIMIT 1
  ) / 1000.0::float8 AS parked_until,
  (
    SELECT EXTRACT(epoch FROM s.next_look)::float8
    FROM {schema}.dbosify_schedules s
    WHERE s.next_look IS NOT NULL AND s.deleted_at IS NULL
    ORDER BY s.next_look LIMIT 1
  ) AS schedule_at,
  EXISTS (
    SELECT FROM {schema}.dbosify_schedules s
    WHERE s.awaited_workflow_ids IS NOT NULL AND s.deleted_at IS NULL
  ) AS schedules_await,
  coalesce((
    SELECT e.expires_at FROM {schema}.dbosify_executions e
    WHERE e.close_time IS NULL AND e.expires_at IS NOT NULL
    ORDER BY e.expires_at LIMIT 1
  ) <= (SELECT now FROM moment), false) AS runs,
  coalesce((
    SELECT o.due_at FROM {schema}.dbosify_outbox o
    ORDER BY o.due_at LIMIT 1
  ) <= (SELECT now FROM moment), false) AS outbox,
  coalesce((
    SELECT n.expires_at FROM {schema}.dbosify_nexus_operations n
    WHERE n.expires_at IS NOT NULL
    ORDER BY n.expires_at LIMIT 1
  ) <= (SELECT now FROM moment), false) AS nexus,
  coalesce((
    SELECT a.deadline FROM {schema}.dbosify_activities a
    WHERE a.deadline IS NOT NULL AND NOT a.eager
    ORDER BY a.deadline LIMIT 1
  ) <= (SELECT now FROM moment), false) OR EXISTS (
    SELECT FROM executors x
    WHERE NOT EXISTS (
      SELECT FROM {schema}.dbosify_workers live
      WHERE live.executor_id = x.executor_id AND live.expires_at > '-infinity'
    ) AND EXISTS (
      SELECT FROM {schema}.dbosify_activities a
      WHERE a.executor_id = x.executor_id AND NOT a.eager
    )
  ) AS activities,
  EXISTS (SELECT FROM {schema}.dbosify_batches b WHERE b.state = 1) AS batches,
  ARRAY (
    SELECT asked.name FROM unnest(%(queues)s::text[]) AS asked (name)
    WHERE (
      SELECT w.created_at FROM {schema}.workflow_status w
      WHERE w.queue_name = asked.name AND w.status = 'ENQUEUED'
        AND w.status = ANY (ARRAY['ENQUEUED', 'PENDING'])
      ORDER BY w.priority, w.created_at LIMIT 1
    ) IS NOT NULL
  ) AS queued,
  ARRAY (
    SELECT asked.name FROM unnest(%(queues)s::text[]) AS asked (name)
    WHERE (
      SELECT q.created_at FROM {schema}.dbosify_queries q
      WHERE q.task_queue = asked.name AND q.answer IS NULL
        AND q.executor_id IS NULL AND q.expires_at > clock_timestamp()
      ORDER BY q.created_at LIMIT 1
    ) IS NOT NULL
  ) AS queried,
  ARRAY (
    SELECT asked.name FROM unnest(%(queues)s::text[]) AS asked (name)
    WHERE (
      SELECT n.due_at FROM {schema}.dbosify_nexus_operations n
      WHERE n.task_queue = asked.name AND n.due_at IS NOT NULL
      ORDER BY n.due_at LIMIT 1
    ) <= (SELECT now FROM moment)
  ) AS called,
  (
    SELECT coalesce(jsonb_object_agg(c.task_queue, c.rate), '{{}}')
    FROM {schema}.dbosify_queue_configs c
    WHERE c.task_queue = ANY (%(queues)s::text[]) AND c.kind = 2
      AND c.rate IS NOT NULL
  ) AS rates,
  (
    -- Few workers are alive: their rows are read whatever the number of queues.
    SELECT coalesce(jsonb_object_agg(served.task_queue, served.processes), '{{}}')
    FROM (
      SELECT i.task_queue, count(DISTINCT i.executor_id) AS processes
      FROM {schema}.dbosify_worker_instances i
      JOIN {schema}.dbosify_workers live USING (executor_id)
      WHERE i.task_queue = ANY (%(queues)s::text[])
        AND live.expires_at > clock_timestamp()
      GROUP BY i.task_queue
    ) AS served
  ) AS servers,
  (
    SELECT coalesce(json_agg(route), '[]') FROM (
      SELECT r.task_queue, r.kind, floor(r.share * 100 + 0.5)::int AS share,
             c.version_id AS current_id, c.deployment AS current_name,
             c.build_id AS current_build, p.version_id AS ramping_id,
             p.deployment AS ramping_name, p.build_id AS ramping_build
      FROM {schema}.dbosify_routes r
      LEFT JOIN {schema}.dbosify_versions c ON c.version_id = r.current_id
      LEFT JOIN {schema}.dbosify_versions p ON p.version_id = r.ramping_id
      WHERE r.task_queue = ANY (%(queues)s::text[])
    ) AS route
  ) AS routes,
  (EXTRACT(epoch FROM (SELECT now FROM moment)))::float8 AS now
