-- Note which version a run belongs to, before its turn queues anything.
-- Index: primary keys; dbosify_versions (deployment, build_id). Status row first.
WITH fence AS (
  SELECT w.workflow_uuid FROM {schema}.workflow_status w
  WHERE w.workflow_uuid = %(workflow_uuid)s AND w.owner_xid = %(token)s
  FOR NO KEY UPDATE
)
UPDATE {schema}.dbosify_executions e
SET version_id = (
      SELECT v.version_id FROM {schema}.dbosify_versions v
      WHERE v.deployment = %(deployment)s AND v.build_id = %(build_id)s
    ),
    pinned_to = (
      SELECT v.version_id FROM {schema}.dbosify_versions v
      WHERE v.deployment = %(pin_deployment)s AND v.build_id = %(pin_build_id)s
    ),
    search_attributes = coalesce(e.search_attributes, '{{}}') || %(attributes)s::jsonb
FROM fence WHERE e.workflow_uuid = fence.workflow_uuid
