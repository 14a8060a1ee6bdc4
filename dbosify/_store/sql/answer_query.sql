-- The answer to a query; whoever asked takes it and removes the row.
-- Index: dbosify_queries' primary key.
UPDATE {schema}.dbosify_queries SET answer = %(answer)s WHERE query_id = %(query_id)s
