"""Neither what users send nor the database's password is in any log, at any level."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from dbosify._store.url import DatabaseUrl
from dbosify.client import Client
from dbosify.converter import DataConverter
from tests.fix_postgres import FreshDatabase
from tests.unit.security.secretive import SECRET
from tests.unit.security.test_secrets import connected, put_the_secret_everywhere

PASSWORD = "kept-between-us"
OF_THE_SDK = ("temporalio.", "temporalio")
"""Its loggers tell of failures in user code, with their messages."""


@pytest.fixture
def address(fresh_database: FreshDatabase) -> Iterator[str]:
    """A URL of a fresh database, with a password in it."""
    url = DatabaseUrl.parse(fresh_database())
    name = f"owner_{uuid.uuid4().hex[:8]}"
    role = sql.Identifier(name)
    create = sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}")
    with psycopg.connect(url.conninfo, autocommit=True) as link:
        link.execute(create.format(role, PASSWORD))
        own = replace(url, user=name, password=PASSWORD)
        yield own.sqlalchemy_url.replace("postgresql+psycopg", "postgresql")
        link.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(role))
        link.execute(sql.SQL("DROP OWNED BY {}").format(role))
        link.execute(sql.SQL("DROP ROLE {}").format(role))


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All records of all loggers that there are."""
    for known in ["", *logging.root.manager.loggerDict]:
        caplog.set_level(logging.DEBUG, known or None)
    return caplog


def told(records: pytest.LogCaptureFixture, secret: str) -> list[str]:
    """The records in which a secret stands, as they are written."""
    written = [
        logging.Formatter("%(name)s %(message)s").format(record)
        for record in records.records
        if not record.name.startswith(OF_THE_SDK)
    ]
    assert len(written) > 10, "it is a test of nothing"
    return [line for line in written if secret in line]


async def test_what_users_send_is_in_no_log(
    address: str, everything: pytest.LogCaptureFixture
) -> None:
    async with connected(address, DataConverter.default) as client:
        await put_the_secret_everywhere(client)
    assert told(everything, SECRET) == []
    assert told(everything, PASSWORD) == []


async def test_a_password_is_in_no_log_of_a_connection_that_fails(
    everything: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(RuntimeError) as refused:
        await Client.connect(f"postgresql://ann:{PASSWORD}@127.0.0.1:1/none")
    assert PASSWORD not in str(refused.value)
    assert PASSWORD not in everything.text
