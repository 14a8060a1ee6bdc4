-- Messages that runs have not taken in, the number of all, who owns and who may own them.
-- Index: dbosify_executions (workflow_uuid), dbosify_notifications_unread.
SELECT e.workflow_uuid, e.inbox, w.owner_xid, n.message_uuid, n.message,
       CASE WHEN EXISTS (SELECT FROM {schema}.dbosify_version_queues)
            THEN {schema}.dbosify_place(e.task_queue, 1, e.workflow_id, e.pinned_to)
       END AS queue
FROM {schema}.dbosify_executions e
JOIN {schema}.workflow_status w USING (workflow_uuid)
LEFT JOIN {schema}.notifications n
  ON n.destination_uuid = e.workflow_uuid AND n.topic = 'dbosify' AND NOT n.consumed
WHERE e.workflow_uuid = ANY(%(workflow_uuids)s)
