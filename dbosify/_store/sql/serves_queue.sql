-- Whether workers of a version serve a task queue, or did.
-- Index: dbosify_versions (deployment, build_id), dbosify_version_queues' primary key.
SELECT v.version_id
FROM {schema}.dbosify_versions v JOIN {schema}.dbosify_version_queues q USING (version_id)
WHERE v.deployment = %(deployment)s AND v.build_id = %(build_id)s AND NOT v.deleted
  AND q.task_queue = %(task_queue)s AND q.kind = %(kind)s
