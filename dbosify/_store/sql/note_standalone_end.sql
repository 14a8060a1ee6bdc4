-- Note the request that terminated an activity, so that it is known if repeated.
-- Index: dbosify_standalone (task_id).
UPDATE {schema}.dbosify_standalone SET end_request_id = %(request_id)s
WHERE task_id = %(task_id)s
