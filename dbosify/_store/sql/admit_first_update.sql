-- Admit an update to the run that this transaction starts.
-- Index: dbosify_executions (workflow_uuid).
WITH run AS (
  UPDATE {schema}.dbosify_executions
  SET inbox = 1
  WHERE workflow_uuid = %(workflow_uuid)s
  RETURNING workflow_uuid, run_id
), admitted AS (
  INSERT INTO {schema}.dbosify_updates (
    run_id, update_id, token, number, stage, size
  )
  SELECT run_id, %(update_id)s, %(token)s, 1, 1, %(size)s::bigint FROM run
)
INSERT INTO {schema}.notifications (
  message_uuid, destination_uuid, topic, message, serialization
)
SELECT 'update::' || %(token)s || '::' || workflow_uuid, workflow_uuid, 'dbosify',
       json_build_object('n', 1, 'history', %(event)s::text)::text, 'portable_json'
FROM run
