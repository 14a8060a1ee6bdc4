-- Take the answer to a query, if it is there.
-- Index: dbosify_queries' primary key.
DELETE FROM {schema}.dbosify_queries
WHERE query_id = %(query_id)s AND (answer IS NOT NULL OR %(give_up)s)
RETURNING answer
