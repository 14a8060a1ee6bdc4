"""`dbosify migrate` prepares a database for workers that may not do it themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dbosify._cli import main
from dbosify._store.migrate import ensure_schema
from dbosify._store.url import DatabaseUrl


def test_a_migrated_database_satisfies_a_worker_that_may_not_migrate(
    fresh_database: Callable[[], str],
) -> None:
    url = fresh_database()
    assert main(["migrate", url, "--namespace", "shop"]) == 0
    ensure_schema(
        DatabaseUrl.parse(url), schema="dbos_shop", namespace="shop", migrate=False
    )


def test_a_bad_url_is_one_sentence_and_a_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["migrate", "mysql://somewhere/else"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
