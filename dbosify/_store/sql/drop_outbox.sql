-- Forget an entry of the outbox: it is done.
-- Index: dbosify_outbox' primary key.
DELETE FROM {schema}.dbosify_outbox WHERE entry_id = %(entry_id)s
