-- Note what a turn made of its run's updates: only if the turn itself is written.
-- Index: dbosify_updates' primary key, dbosify_executions (workflow_uuid).
UPDATE {schema}.dbosify_updates u
SET stage = a.stage, rejected = a.rejected,
    outcome = a.outcome, answered_at = {schema}.dbosify_now()
FROM unnest(
    %(update_ids)s::text[], %(stages)s::smallint[], %(rejections)s::boolean[],
    %(outcomes)s::bytea[]
  ) AS a (update_id, stage, rejected, outcome),
  {schema}.dbosify_executions e
  JOIN {schema}.workflow_status w USING (workflow_uuid)
WHERE e.workflow_uuid = %(workflow_uuid)s
  AND u.run_id = e.run_id
  AND u.update_id = a.update_id
  -- A turn that closed its run has given the token back in this very transaction.
  AND CASE WHEN %(close_time)s::timestamptz IS NULL THEN w.owner_xid = %(token)s
           ELSE e.close_time = %(close_time)s
                AND e.history_length = %(history_length)s END
