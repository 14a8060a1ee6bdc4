"""The steps; `alembic revision` puts the next one here."""
