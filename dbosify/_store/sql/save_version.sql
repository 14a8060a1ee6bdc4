-- Change a version of a worker deployment that the caller holds, or mark it as deleted.
-- Index: dbosify_versions' primary key.
UPDATE {schema}.dbosify_versions
SET info = %(info)s, deleted = %(deleted)s
WHERE version_id = %(version_id)s
RETURNING version_id
