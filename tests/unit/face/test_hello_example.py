"""The first program that anybody runs works, on both kinds of Postgres."""

import os
import subprocess
import sys

import psycopg
import pytest

from dbosify._runtime import embedded
from dbosify._runtime.embedded_cluster import find_install
from tests.fix_postgres import FreshDatabase
from tests.unit.repo.sources import ROOT

SECONDS = 50.0


def run_hello(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program as its reader does."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name != "DBOS_SYSTEM_DATABASE_URL"
    }
    return subprocess.run(
        [sys.executable, "-W", "error", "examples/hello.py"],
        cwd=ROOT,
        env=inherited | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_hello_runs_on_the_database_it_is_given(fresh_database: FreshDatabase) -> None:
    url = fresh_database()
    for runs in (1, 2):
        done = run_hello(DBOS_SYSTEM_DATABASE_URL=url)
        assert (done.stdout, done.stderr) == ("Hello, World!\n", "")
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM dbos.workflow_status"
                " WHERE name = 'Greeting' AND status = 'SUCCESS'"
            ).fetchone()
        assert row == (runs,)


def has_embedded_postgres() -> bool:
    """Whether the extra is installed."""
    try:
        find_install()
    except embedded.EmbeddedPostgresError:
        return False
    return True


@pytest.mark.skipif(
    not has_embedded_postgres(), reason="the extra `embedded` is not installed"
)
def test_hello_runs_where_there_is_no_postgres() -> None:
    done = run_hello()
    assert (done.stdout, done.stderr) == ("Hello, World!\n", "")
