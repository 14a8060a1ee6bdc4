-- A version is deleted: no task queue is its own any more.
-- Index: none; they are few.
DELETE FROM {schema}.dbosify_version_queues WHERE version_id = %(version_id)s
RETURNING version_id
