-- Leave a query to whoever owns its run, if the run is open; says who that is.
-- Index: primary keys of workflow_status and dbosify_queries.
WITH open AS (
  SELECT executor_id FROM {schema}.workflow_status
  WHERE workflow_uuid = %(workflow_uuid)s
    AND status = ANY (ARRAY['ENQUEUED', 'PENDING', 'DELAYED'])
), returned AS (
  UPDATE {schema}.dbosify_queries SET executor_id = NULL
  WHERE query_id = %(query_id)s AND EXISTS (SELECT FROM open)
)
SELECT executor_id FROM open
