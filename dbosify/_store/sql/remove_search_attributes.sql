-- Forget custom search attributes; what runs have of them stays where it is.
-- Index: dbosify_search_attributes' primary key.
DELETE FROM {schema}.dbosify_search_attributes WHERE name = ANY (%(names)s::text[])
