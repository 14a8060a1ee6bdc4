-- Pin an open run to a version, or to none, as an override says that was just sent to it.
-- Index: dbosify_executions (workflow_uuid), dbosify_versions (deployment, build_id).
UPDATE {schema}.dbosify_executions e
SET pinned_to = (
      SELECT v.version_id FROM {schema}.dbosify_versions v
      WHERE v.deployment = %(pin_deployment)s AND v.build_id = %(pin_build_id)s
    ),
    search_attributes = coalesce(e.search_attributes, '{{}}') || %(attributes)s::jsonb
WHERE e.workflow_uuid = %(workflow_uuid)s
