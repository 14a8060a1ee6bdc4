"""Fixtures of the hostile tests."""

from collections.abc import Iterator

import pytest

from tests.fix_postgres import _database


@pytest.fixture(scope="module")
def own_database(postgres_server_url: str) -> Iterator[str]:
    """Nobody else writes here."""
    with _database(postgres_server_url) as url:
        yield url
