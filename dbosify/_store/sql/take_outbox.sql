-- Lock an entry of the outbox, unless it is delivered or somebody is just at it.
-- Index: dbosify_outbox' primary key.
SELECT entry_id, workflow_uuid, kind, event_id, events, answer
FROM {schema}.dbosify_outbox
WHERE entry_id = %(entry_id)s
FOR UPDATE SKIP LOCKED
