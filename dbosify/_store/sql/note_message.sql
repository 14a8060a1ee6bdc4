-- Note that a run took in a message with its start, so that a repeated one is known.
-- Index: dbosify_executions (workflow_uuid).
INSERT INTO {schema}.notifications (
  message_uuid, destination_uuid, topic, message, serialization, consumed
)
SELECT %(message_id)s || '::' || workflow_uuid, workflow_uuid, 'dbosify', 'null',
       'portable_json', true
FROM {schema}.dbosify_executions
WHERE workflow_uuid = %(workflow_uuid)s
