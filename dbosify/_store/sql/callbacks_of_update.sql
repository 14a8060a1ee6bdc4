-- To whom an update calls back.
-- Index: dbosify_updates' primary key.
SELECT callbacks FROM {schema}.dbosify_updates
WHERE run_id = %(run_id)s AND update_id = %(update_id)s
