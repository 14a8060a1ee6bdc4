-- How many runs there are of each status.
-- Index: dbosify_executions_attributes if the condition is about an attribute.
SELECT e.status, count(*) AS runs FROM {schema}.dbosify_executions e
WHERE {condition}
GROUP BY e.status
ORDER BY e.status
