"""The command `dbosify`: what an operator does by hand.

`dbosify migrate URL` creates or updates a namespace's schema, for installations whose
workers run as a role that may not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from dbosify._store.errors import StoreError
from dbosify._store.migrate import ensure_schema
from dbosify._store.url import DatabaseUrl, schema_of_namespace


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="dbosify", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    migrate = commands.add_parser("migrate", help="create or update a schema")
    migrate.add_argument("url", help="of the database")
    migrate.add_argument("--namespace", default="default")
    options = parser.parse_args(arguments)
    try:
        schema = schema_of_namespace(options.namespace)
        ensure_schema(
            DatabaseUrl.parse(options.url), schema=schema, namespace=options.namespace
        )
    except (StoreError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"schema {schema} is up to date\n")
    return 0
