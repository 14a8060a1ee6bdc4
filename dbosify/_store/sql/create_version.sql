-- Add a version to a worker deployment, or bring back one that was deleted.
-- Index: dbosify_versions (deployment, build_id).
INSERT INTO {schema}.dbosify_versions AS v (deployment, build_id, info, request_id)
VALUES (%(name)s, %(build_id)s, %(info)s, %(request_id)s)
ON CONFLICT (deployment, build_id) DO UPDATE
SET info = excluded.info, request_id = excluded.request_id, deleted = false
WHERE v.deleted
RETURNING v.version_id
