-- Let turns that give out fair places wait for each other, until each has committed.
-- Index: none; an advisory lock, of the schema's own.
SELECT pg_advisory_xact_lock(
  hashtextextended('fairness', '{schema}.dbosify_fairness'::regclass::oid::bigint)
)
