-- Let registrations wait for each other: they count before they write.
-- Index: none; the table has one row.
SELECT 1 FROM {schema}.dbosify_namespace FOR UPDATE
