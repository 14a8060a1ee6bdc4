-- Give what is queued just now the places that fairness keys have earned.
-- Index: idx_workflow_status_in_flight_v2, primary keys; after lock_fairness.sql.
WITH asked AS (
  SELECT t.*, sum(
    %(stride)s::float8 / coalesce((c.weights ->> t.fairness_key)::float8, t.weight)
  ) OVER (
    PARTITION BY t.queue_name, t.priority, t.fairness_key ORDER BY t.number
  ) AS steps
  FROM unnest(
    %(task_ids)s::text[], %(queues)s::text[], %(priorities)s::int[],
    %(keys)s::text[], %(weights)s::float8[]
  ) WITH ORDINALITY
    AS t (task_id, queue_name, priority, fairness_key, weight, number)
  LEFT JOIN {schema}.dbosify_queue_configs c
    ON c.kind = CASE WHEN starts_with(t.queue_name, 'activity:') THEN 2 ELSE 1 END
    AND c.task_queue = CASE c.kind WHEN 2 THEN substr(t.queue_name, 10)
                                   ELSE t.queue_name END
  WHERE EXISTS (
    SELECT FROM {schema}.workflow_status run
    WHERE run.workflow_uuid = %(workflow_uuid)s
      AND run.owner_xid IS NOT DISTINCT FROM %(token)s
  )
), clock AS (
  -- The queue's clock shows the place of whoever is next in it.
  SELECT q.*, coalesce(
    (SELECT w.created_at FROM {schema}.workflow_status w
     WHERE w.queue_name = q.queue_name AND w.priority = q.priority
       AND w.status = 'ENQUEUED' AND w.status = ANY (ARRAY['ENQUEUED', 'PENDING'])
       AND NOT w.workflow_uuid = ANY (%(task_ids)s::text[])
     ORDER BY w.created_at LIMIT 1),
    greatest(
      (EXTRACT(epoch FROM now()) * 1000)::bigint,
      (SELECT max(f.last) FROM {schema}.dbosify_fairness f
       WHERE f.queue_name = q.queue_name AND f.priority = q.priority)
    )
  ) AS shows
  FROM (SELECT DISTINCT queue_name, priority FROM asked) q
), placed AS (
  SELECT asked.*, greatest(clock.shows, f.last) + asked.steps AS place
  FROM asked JOIN clock USING (queue_name, priority)
  LEFT JOIN {schema}.dbosify_fairness f USING (queue_name, priority, fairness_key)
), forgotten AS (
  DELETE FROM {schema}.dbosify_fairness f USING clock
  WHERE f.queue_name = clock.queue_name AND f.priority = clock.priority
    AND f.last < clock.shows
    AND NOT EXISTS (
      SELECT FROM asked a
      WHERE a.queue_name = f.queue_name AND a.priority = f.priority
        AND a.fairness_key = f.fairness_key
    )
), noted AS (
  INSERT INTO {schema}.dbosify_fairness (queue_name, priority, fairness_key, last)
  SELECT queue_name, priority, fairness_key, max(place)
  FROM placed GROUP BY queue_name, priority, fairness_key
  ON CONFLICT (queue_name, priority, fairness_key) DO UPDATE SET last = excluded.last
)
UPDATE {schema}.workflow_status w
SET created_at = placed.place::bigint
FROM placed WHERE w.workflow_uuid = placed.task_id
