-- The number of a version, if there is one.
-- Index: dbosify_versions (deployment, build_id).
SELECT version_id FROM {schema}.dbosify_versions
WHERE deployment = %(name)s AND build_id = %(build_id)s AND NOT deleted
