-- Delete a closed run, with all that any table knows of it.
-- Index: primary keys, DBOS's own on workflow_status (parent_workflow_id).
WITH run AS (
  DELETE FROM {schema}.dbosify_executions
  WHERE workflow_uuid = %(workflow_uuid)s AND close_time IS NOT NULL
  RETURNING run_id, workflow_uuid
), updates AS (
  DELETE FROM {schema}.dbosify_updates u USING run WHERE u.run_id = run.run_id
), activities AS (
  DELETE FROM {schema}.dbosify_activities a USING run WHERE a.run_id = run.run_id
), input AS (
  DELETE FROM {schema}.workflow_input i USING run
  WHERE i.workflow_uuid = run.workflow_uuid
), output AS (
  DELETE FROM {schema}.workflow_output o USING run
  WHERE o.workflow_uuid = run.workflow_uuid
), steps AS (
  DELETE FROM {schema}.operation_outputs s USING run
  WHERE s.workflow_uuid = run.workflow_uuid
), messages AS (
  DELETE FROM {schema}.notifications n USING run
  WHERE n.destination_uuid = run.workflow_uuid
), tasks AS (
  DELETE FROM {schema}.workflow_status w USING run
  WHERE w.parent_workflow_id = run.workflow_uuid
    AND starts_with(w.queue_name, 'activity:')
), status AS (
  DELETE FROM {schema}.workflow_status w USING run
  WHERE w.workflow_uuid = run.workflow_uuid
)
SELECT workflow_uuid FROM run
