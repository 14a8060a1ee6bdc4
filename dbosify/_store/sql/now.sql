-- The database's clock, in microseconds since 1970.
-- Index: none.
SELECT (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000000)::bigint AS now_us
