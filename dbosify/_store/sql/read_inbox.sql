-- Messages that runs have not taken in, the number of all ever sent, and the owner.
-- Index: dbosify_executions (workflow_uuid), dbosify_notifications_unread.
SELECT e.workflow_uuid, e.inbox, w.owner_xid, n.message_uuid, n.message
FROM {schema}.dbosify_executions e
JOIN {schema}.workflow_status w USING (workflow_uuid)
LEFT JOIN {schema}.notifications n
  ON n.destination_uuid = e.workflow_uuid AND n.topic = 'dbosify' AND NOT n.consumed
WHERE e.workflow_uuid = ANY(%(workflow_uuids)s)
