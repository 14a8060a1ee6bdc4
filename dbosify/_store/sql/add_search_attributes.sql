-- Register custom search attributes; those that are known stay what they are.
-- Index: dbosify_search_attributes' primary key.
INSERT INTO {schema}.dbosify_search_attributes (name, type)
SELECT * FROM unnest(%(names)s::text[], %(types)s::text[])
ON CONFLICT (name) DO NOTHING
