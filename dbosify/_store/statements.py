"""The SQL of dbosify: one statement a file, loaded once, bound to a schema.

The only text ever put into a statement is the schema's name, as a quoted identifier,
and in a few the conditions of a list filter, made of names and operators of ours.
Everything a user can influence travels as a parameter.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from psycopg import sql

_DIRECTORY = Path(__file__).parent / "sql"


@cache
def load(name: str) -> str:
    """The text of `sql/<name>.sql`, without its header."""
    text = (_DIRECTORY / f"{name}.sql").read_text()
    return "\n".join(text.splitlines()[2:])


def composed(name: str, schema: str, condition: sql.Composable) -> bytes:
    """The statement `name`, for the tables in `schema`, about what is asked for."""
    statement = sql.SQL(load(name))
    return statement.format(
        schema=sql.Identifier(schema), condition=condition
    ).as_bytes(None)


@cache
def bound(name: str, schema: str) -> bytes:
    """The statement `name`, for the tables in `schema`."""
    # The texts are ours alone, which is what the literal type asks for.
    statement = sql.SQL(load(name))
    return statement.format(schema=sql.Identifier(schema)).as_bytes(None)
