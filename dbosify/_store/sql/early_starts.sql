-- Starts of children that an entry must not overtake; waits for one just being made.
-- Index: none; the outbox holds only what is under way, and few messages come early.
SELECT entry_id FROM {schema}.dbosify_outbox
WHERE workflow_uuid = %(workflow_uuid)s
  AND kind = %(kind)s
  AND event_id < %(event_id)s
ORDER BY event_id
FOR UPDATE
