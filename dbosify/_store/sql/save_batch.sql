-- Note how far a batch operation is; the caller holds the row's lock.
-- Index: dbosify_batches' primary key.
UPDATE {schema}.dbosify_batches
SET targets = coalesce(%(targets)s::jsonb, targets), position = %(position)s,
    failures = %(failures)s, state = %(state)s::smallint,
    closed_at = CASE WHEN %(state)s::smallint <> 1 THEN {schema}.dbosify_now() END
WHERE job_id = %(job_id)s
