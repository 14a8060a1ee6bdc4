-- Delete a namespace with everything in it.
-- Index: none.
DROP SCHEMA {schema} CASCADE
