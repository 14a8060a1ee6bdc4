-- Note what has become of a Nexus operation that a client started; its call row is held.
-- Index: dbosify_standalone_operations (operation_key).
UPDATE {schema}.dbosify_standalone_operations
SET links = coalesce(%(links)s, links),
    transitions = transitions + 1,
    status = coalesce(%(status)s, status),
    outcome = coalesce(%(outcome)s, outcome),
    info = coalesce(%(info)s, info),
    end_request_id = coalesce(%(end_request_id)s, end_request_id),
    cancel_request_id = coalesce(%(cancel_request_id)s, cancel_request_id),
    cancel_reason = coalesce(%(cancel_reason)s, cancel_reason),
    close_time = CASE WHEN %(outcome)s::bytea IS NULL THEN close_time
                 ELSE {schema}.dbosify_now() END
WHERE operation_key = %(key)s
