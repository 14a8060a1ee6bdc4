-- How many activities there are of each status.
-- Index: dbosify_standalone_attributes if the condition is about an attribute.
SELECT e.status, count(*) AS activities FROM {schema}.dbosify_standalone e
WHERE {condition}
GROUP BY e.status
ORDER BY e.status
