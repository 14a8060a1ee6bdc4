-- The custom search attributes of the namespace; if names are given, only those.
-- Index: dbosify_search_attributes' primary key; a few dozen rows at most.
SELECT name, type FROM {schema}.dbosify_search_attributes
WHERE %(names)s::text[] IS NULL OR name = ANY (%(names)s::text[])
