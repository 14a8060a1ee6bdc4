-- Let a test's database have a clock that runs ahead; again is harmless.
-- Index: none needed.
CREATE TABLE IF NOT EXISTS {schema}.dbosify_virtual_time (
  ahead interval NOT NULL DEFAULT '0 seconds'
);
INSERT INTO {schema}.dbosify_virtual_time
SELECT WHERE NOT EXISTS (SELECT FROM {schema}.dbosify_virtual_time);
CREATE OR REPLACE FUNCTION {schema}.dbosify_now()
RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN clock_timestamp() + (SELECT ahead FROM {schema}.dbosify_virtual_time)
