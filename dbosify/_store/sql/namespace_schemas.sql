-- The schemas of this database that hold a namespace which the role may read.
-- Index: pg_class (relname, relnamespace).
SELECT n.nspname AS name
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = 'dbosify_namespace'
  AND c.relkind = 'r'
  AND has_schema_privilege(n.oid, 'USAGE')
  AND has_table_privilege(c.oid, 'SELECT')
ORDER BY n.nspname
