"""Tests against other Postgres servers than the usual: versions, poolers, ways in."""
