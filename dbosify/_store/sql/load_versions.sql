-- The versions of worker deployments, the newest first, and whether any run needs them.
-- Index: dbosify_versions (deployment, build_id), dbosify_executions_pinned.
SELECT v.version_id, v.deployment, v.info, v.request_id,
       EXISTS (
         SELECT FROM {schema}.dbosify_executions e
         WHERE e.pinned_to = v.version_id AND e.close_time IS NULL
       ) AS needed,
       EXISTS (
         SELECT FROM {schema}.dbosify_version_queues q
         WHERE q.version_id = v.version_id
           AND q.seen_at > clock_timestamp() - interval '5 minutes'
       ) AS polled,
       ARRAY (
         SELECT ARRAY[q.kind::text, q.task_queue]
         FROM {schema}.dbosify_version_queues q
         WHERE q.version_id = v.version_id
         ORDER BY q.task_queue, q.kind
       ) AS queues
FROM {schema}.dbosify_versions v
WHERE v.deployment = ANY(%(names)s) AND NOT v.deleted
ORDER BY v.version_id DESC
