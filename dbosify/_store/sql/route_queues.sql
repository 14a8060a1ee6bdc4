-- Say anew which versions get the tasks of a deployment's queues that are not pinned.
-- Index: dbosify_routes' primary key; versions and their queues are few.
WITH mine AS (
  SELECT DISTINCT q.task_queue, q.kind
  FROM {schema}.dbosify_version_queues q
  JOIN {schema}.dbosify_versions v USING (version_id)
  WHERE v.deployment = %(name)s
), claimed AS (
  SELECT q.task_queue, q.kind, d.name, d.routed_at,
         max(d.current_id) FILTER (WHERE q.version_id = d.current_id) AS current_id,
         max(d.ramping_id) FILTER (WHERE q.version_id = d.ramping_id) AS ramping_id,
         CASE WHEN d.ramping_id IS NULL OR bool_or(q.version_id = d.ramping_id)
              THEN d.share ELSE 0 END AS share
  FROM mine
  JOIN {schema}.dbosify_version_queues q USING (task_queue, kind)
  JOIN {schema}.dbosify_versions v USING (version_id)
  JOIN {schema}.dbosify_deployments d ON d.name = v.deployment
  GROUP BY q.task_queue, q.kind, d.name, d.routed_at, d.ramping_id, d.share
), best AS (
  SELECT DISTINCT ON (task_queue, kind) task_queue, kind, current_id, ramping_id, share
  FROM claimed
  WHERE current_id IS NOT NULL OR ramping_id IS NOT NULL
  ORDER BY task_queue, kind, routed_at DESC NULLS LAST, name
), gone AS (
  DELETE FROM {schema}.dbosify_routes r
  USING mine
  WHERE r.task_queue = mine.task_queue AND r.kind = mine.kind
    AND NOT EXISTS (
      SELECT FROM best
      WHERE best.task_queue = mine.task_queue AND best.kind = mine.kind
    )
)
INSERT INTO {schema}.dbosify_routes (task_queue, kind, current_id, ramping_id, share)
SELECT task_queue, kind, current_id, ramping_id, share FROM best
ORDER BY task_queue, kind
ON CONFLICT (task_queue, kind) DO UPDATE
SET current_id = excluded.current_id, ramping_id = excluded.ramping_id,
    share = excluded.share
RETURNING task_queue
