-- How many Nexus operations that clients started there are of each status.
-- Index: dbosify_standalone_operations_attributes if the condition is about one.
SELECT e.status, count(*) AS operations FROM {schema}.dbosify_standalone_operations e
WHERE {condition}
GROUP BY e.status
ORDER BY e.status
