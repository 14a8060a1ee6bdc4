-- Send hints to other processes.
-- Index: none.
SELECT pg_notify(%(channel)s, hint) FROM unnest(%(hints)s::text[]) AS h (hint)
