-- The database's clock, in microseconds since 1970, and whether it can be set ahead.
-- Index: none.
SELECT (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000000)::bigint AS now_us,
       EXISTS (SELECT FROM {schema}.dbosify_virtual_time) AS virtual
