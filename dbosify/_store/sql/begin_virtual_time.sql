-- Let a test's database have a clock that can be set ahead; again is harmless.
-- Index: none needed.
INSERT INTO {schema}.dbosify_virtual_time
SELECT '0 seconds' WHERE NOT EXISTS (SELECT FROM {schema}.dbosify_virtual_time)
