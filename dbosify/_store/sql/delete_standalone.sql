-- Delete an activity that a client started, open or over; its status row is locked.
-- Index: primary keys, dbosify_standalone (task_id).
WITH activity AS (
  DELETE FROM {schema}.dbosify_activities WHERE task_id = %(task_id)s
), input AS (
  DELETE FROM {schema}.workflow_input WHERE workflow_uuid = %(task_id)s
), output AS (
  DELETE FROM {schema}.workflow_output WHERE workflow_uuid = %(task_id)s
), status AS (
  DELETE FROM {schema}.workflow_status WHERE workflow_uuid = %(task_id)s
)
DELETE FROM {schema}.dbosify_standalone WHERE task_id = %(task_id)s
