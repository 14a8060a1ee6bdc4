"""The language of list filters: from a query's text to conditions on runs."""
