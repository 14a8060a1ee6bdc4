-- Those of some workflows, named by their first runs, that are not over.
-- Index: dbosify_executions' open ones.
SELECT asked.workflow_id, asked.run_id
FROM unnest(%(workflow_ids)s::text[], %(run_ids)s::text[]) AS asked (workflow_id, run_id)
WHERE EXISTS (
  SELECT FROM {schema}.dbosify_executions e
  WHERE e.workflow_id = asked.workflow_id
    AND e.first_run_id = asked.run_id
    AND e.close_time IS NULL
)
