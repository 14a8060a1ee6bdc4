"""Each statement has a header, one use, and tables and columns that exist."""

from __future__ import annotations

import ast
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from dbosify._store import statements
from dbosify._store.migrate import ensure_schema
from dbosify._store.url import DatabaseUrl
from tests.unit.repo.sources import ROOT, files, library

SQL = "dbosify/_store/sql/"
NAMES = [Path(path).stem for path in files() if path.startswith(SQL)]

LOADERS = frozenset(
    {
        *("Call", "_composed", "_of_activities", "_of_operations", "_run", "bound"),
        *("fetch", "load", "of_schedules", "run"),
    }
)
"""What takes the name of a statement, here as a word of its own or of an object."""

PARAMETER = re.compile(r"%\((\w+)\)s|%%")


def test_only_statements_are_among_the_statements() -> None:
    assert not [p for p in files() if p.startswith(SQL) and not p.endswith(".sql")]


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_says_what_it_does_and_which_index_makes_it_cheap(
    name: str,
) -> None:
    what, index, *statement = ROOT.joinpath(f"{SQL}{name}.sql").read_text().splitlines()
    assert re.match(r"-- \w.*\.$", what)
    assert re.match(r"-- Index: \S.*\.$", index)
    assert statement
    assert not statement[0].startswith("--"), "the header has two lines, no more"


def test_every_statement_is_used() -> None:
    assert not set(NAMES) - set(loaded_names())


def loaded_names() -> Iterator[str]:
    """The literal names that the library gives to what runs statements."""
    for module in library():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and called(node) in LOADERS:
                yield from (
                    argument.value
                    for argument in node.args
                    if isinstance(argument, ast.Constant)
                    and isinstance(argument.value, str)
                    and argument.value in NAMES
                )


def called(node: ast.Call) -> str:
    """The last word of what is called."""
    return ast.unparse(node.func).rpartition(".")[2]


@pytest.fixture(scope="module")
def schema() -> str:
    """A schema that no other test has."""
    return f"prepare_{uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def connection(
    postgres_url: str, schema: str
) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection to a database where the schema is what migrations make it."""
    ensure_schema(DatabaseUrl.parse(postgres_url), schema=schema, namespace=schema)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.mark.parametrize(
    "name",
    # Postgres prepares no DROP.
    [name for name in NAMES if not statements.load(name).startswith("DROP")],
)
def test_a_statement_fits_the_migrated_tables(
    connection: psycopg.Connection[tuple[object, ...]], schema: str, name: str
) -> None:
    if "{condition}" in statements.load(name):
        text = statements.composed(name, schema, sql.SQL("true")).decode()
    else:
        text = statements.bound(name, schema).decode()
    # Postgres finds the types itself, as it does when the statements run.
    connection.execute(f"PREPARE {name}_ AS {numbered(text)}".encode())


def numbered(statement: str) -> str:
    """The statement with parameters as the server's PREPARE wants them."""
    order: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found.group() == "%%":
            return "%"
        return f"${order.setdefault(found.group(1), len(order) + 1)}"

    return PARAMETER.sub(number, statement)
