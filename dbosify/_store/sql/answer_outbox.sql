-- Keep what an entry came to, until the run that wanted it is told.
-- Index: dbosify_outbox' primary key.
UPDATE {schema}.dbosify_outbox SET answer = %(answer)s WHERE entry_id = %(entry_id)s
