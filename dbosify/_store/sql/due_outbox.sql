-- Entries that their writer should have delivered by now; the next look comes later.
-- Index: dbosify_outbox (due_at).
UPDATE {schema}.dbosify_outbox o
SET tries = o.tries + 1,
    due_at = {schema}.dbosify_now() + least(60, 2 ^ least(o.tries, 6))
                                      * interval '1 second'
FROM (
  SELECT entry_id FROM {schema}.dbosify_outbox
  WHERE due_at <= (SELECT {schema}.dbosify_now())
  ORDER BY due_at
  LIMIT 100
  FOR UPDATE SKIP LOCKED
) AS due
WHERE o.entry_id = due.entry_id
RETURNING o.entry_id
