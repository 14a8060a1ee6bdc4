"""The fixtures give every test an empty database and take it away again."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.fix_postgres import FreshDatabase


def names_on(server_url: str) -> set[str]:
    with psycopg.connect(server_url) as connection:
        return {
            name for (name,) in connection.execute("SELECT datname FROM pg_database")
        }


@pytest.fixture
def dropped_afterwards(postgres_server_url: str) -> Iterator[list[str]]:
    """URLs whose databases must be gone once the fixtures of the test are done."""
    urls: list[str] = []
    yield urls
    assert urls
    assert names_on(postgres_server_url).isdisjoint(
        {make_url(url).database for url in urls}
    )


def test_fresh_databases_are_empty_and_dropped_even_while_in_use(
    dropped_afterwards: list[str], fresh_database: FreshDatabase
) -> None:
    dropped_afterwards += [fresh_database(), fresh_database()]
    assert len(set(dropped_afterwards)) == 2
    tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    for url in dropped_afterwards:
        connection = psycopg.connect(url)
        assert connection.execute(tables).fetchone() == (0,)


def test_the_database_of_the_process_takes_any_text(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT 'größer ≠ 大'::text").fetchone() == (
            "größer ≠ 大",
        )


def test_the_database_of_the_process_is_not_the_servers_own(
    postgres_url: str, postgres_server_url: str
) -> None:
    ours, theirs = make_url(postgres_url), make_url(postgres_server_url)
    assert ours.database != theirs.database
    assert ours.set(database=theirs.database) == theirs
