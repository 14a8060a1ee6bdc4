-- Where the tasks of some task queues go that are pinned to no version.
-- Index: primary keys of dbosify_routes, dbosify_versions and dbosify_deployments.
SELECT r.task_queue, r.kind, floor(r.share * 100 + 0.5)::int AS share,
       c.version_id AS current_id, c.deployment AS current_name,
       c.build_id AS current_build, p.version_id AS ramping_id,
       p.deployment AS ramping_name, p.build_id AS ramping_build, d.routed_at
FROM {schema}.dbosify_routes r
LEFT JOIN {schema}.dbosify_versions c ON c.version_id = r.current_id
LEFT JOIN {schema}.dbosify_versions p ON p.version_id = r.ramping_id
LEFT JOIN {schema}.dbosify_deployments d
  ON d.name = coalesce(c.deployment, p.deployment)
WHERE r.task_queue = ANY (%(queues)s::text[])
