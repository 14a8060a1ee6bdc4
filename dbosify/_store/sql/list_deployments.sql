-- Worker deployments, the newest first, from a place on.
-- Index: none; they are few.
SELECT name, info, token, request_id
FROM {schema}.dbosify_deployments
WHERE %(name)s::text IS NULL
   OR (created_at, name) < (
     SELECT created_at, name FROM {schema}.dbosify_deployments WHERE name = %(name)s
   )
ORDER BY created_at DESC, name DESC
LIMIT %(limit)s
