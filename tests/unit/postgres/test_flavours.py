"""A client, a worker and whole runs on each Postgres, and each way in, that counts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import psycopg
import pytest

from dbosify._store.errors import PoolerInTheWay
from dbosify._store.migrate import ensure_schema
from dbosify._store.url import DatabaseUrl
from dbosify.client import Client
from tests.unit.face.greeting import greets, random_name, served, started
from tests.unit.face.workflows import Patient, Story
from tests.unit.postgres import servers
from tests.unit.postgres.servers import OWNER, PASSWORD, TLS_ONLY, Server

OLDER, EMBEDDED = 15, 18
BY_NAME = "data base"


@pytest.fixture(scope="module", params=[OLDER, EMBEDDED])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of each version, with a database that belongs to nobody special."""
    with servers.postgres(request.param) as running:
        with psycopg.connect(running.url(), autocommit=True) as link:
            for role in (OWNER, TLS_ONLY):
                link.execute(
                    psycopg.sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                        psycopg.sql.Identifier(role), PASSWORD
                    )
                )
        for database, owner in (
            (BY_NAME, OWNER),
            ("tls", TLS_ONLY),
            ("session", "postgres"),
            ("transaction", "postgres"),
        ):
            running.execute(f'CREATE DATABASE "{database}" OWNER "{owner}"')
        yield running


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """A client that gives its connections back."""
    client = await Client.connect(url)
    try:
        yield client
    finally:
        await client.close()


async def tells_a_story(client: Client) -> dict[str, str]:
    """A run with an activity, a timer, a signal and a query, on a worker of its own."""
    async with served(client) as worker:
        handle = await client.start_workflow(
            Story.run, "Ada", id=random_name(), task_queue=worker.task_queue
        )
        await handle.signal(Story.say, "please")
        return await handle.result()


async def test_a_password_of_special_characters(server: Server) -> None:
    url = server.url(OWNER, password=PASSWORD, database=BY_NAME)
    async with connected(url) as client:
        assert await tells_a_story(client)


async def test_a_unix_socket(server: Server) -> None:
    url = server.url(OWNER, password=PASSWORD, database=BY_NAME, host=str(server.home))
    async with connected(url) as client:
        assert await greets(client)


async def test_ipv6(server: Server) -> None:
    if not servers.has_ipv6():
        pytest.skip("the machine has no IPv6")
    url = server.url(OWNER, password=PASSWORD, database=BY_NAME, host="[::1]")
    async with connected(url) as client:
        assert await greets(client)


def needs_tls(server: Server) -> None:
    """Skips where the server cannot speak TLS."""
    if not server.has_tls:
        pytest.skip("this build of Postgres has no TLS")


@pytest.mark.parametrize("mode", ["require", "verify-full"])
async def test_tls(server: Server, mode: str) -> None:
    needs_tls(server)
    url = server.url(TLS_ONLY, password=PASSWORD, database="tls", sslmode=mode)
    if mode == "verify-full":
        url += f"&sslrootcert={server.certificate}"
    async with connected(url) as client:
        assert await greets(client)


async def test_without_tls_where_it_is_asked_for_the_refusal_has_no_secret(
    server: Server,
) -> None:
    needs_tls(server)
    url = server.url(TLS_ONLY, password=PASSWORD, database="tls", sslmode="disable")
    with pytest.raises(RuntimeError, match="Can't connect to") as refused:
        await Client.connect(url)
    assert PASSWORD not in str(refused.value)
    assert "p%40ss" not in str(refused.value)


@pytest.fixture(scope="module")
def session_pooler(server: Server) -> Iterator[str]:
    """The way in through PgBouncer in session mode."""
    with pooler(server, "session") as url:
        yield url


@pytest.fixture(scope="module")
def transaction_pooler(server: Server) -> Iterator[str]:
    """The way in through PgBouncer in transaction mode, to a database that is ready."""
    direct = DatabaseUrl.parse(server.url(database="transaction"))
    ensure_schema(direct, schema="dbos", namespace="default")
    with pooler(server, "transaction") as url:
        yield url


@contextmanager
def pooler(server: Server, mode: str) -> Iterator[str]:
    """PgBouncer before the database that is named like its mode."""
    user, password = "postgres", "p00l3d"
    with servers.pgbouncer(
        server, mode, user=user, password=password, database=mode
    ) as port:
        yield server.url(user, password=password, port=port, database=mode)


async def test_a_pooler_in_session_mode(session_pooler: str) -> None:
    async with connected(session_pooler) as client:
        assert await tells_a_story(client)


async def test_a_pooler_in_transaction_mode(
    transaction_pooler: str, caplog: pytest.LogCaptureFixture
) -> None:
    # It is said once of a URL: one that no other test has.
    url = f"{transaction_pooler}?application_name=told"
    with caplog.at_level(logging.INFO):
        async with connected(url) as client:
            told = await asyncio.gather(*[tells_a_story(client) for _ in range(5)])
            assert [each["word"] for each in told] == ["please"] * 5
    said = [each for each in caplog.messages if "is reached through a pooler" in each]
    assert len(said) == 1
    alarms = [
        each.getMessage()
        for each in caplog.records
        if each.levelno >= logging.WARNING and "dbos" in each.name
    ]
    assert alarms == []
    assert "p00l3d" not in caplog.text


async def test_what_others_do_is_noticed_through_a_pooler_without_their_hints(
    server: Server, transaction_pooler: str
) -> None:
    async with (
        connected(transaction_pooler) as behind,
        connected(server.url(database="transaction")) as other,
        served(behind) as worker,
    ):
        handle = await started(other, worker.task_queue)
        assert await handle.query(Patient.waits)
        await handle.signal(Patient.say, "now")
        assert await handle.result() == "now"


def test_nothing_is_migrated_through_a_pooler_in_transaction_mode(
    server: Server, transaction_pooler: str
) -> None:
    url = DatabaseUrl.parse(transaction_pooler)
    with pytest.raises(PoolerInTheWay, match="`dbosify migrate`") as refused:
        ensure_schema(url, schema="dbos_new", namespace="new")
    assert "p00l3d" not in str(refused.value)
    with psycopg.connect(server.url(database="transaction")) as link:
        found = link.execute("SELECT FROM pg_namespace WHERE nspname = 'dbos_new'")
        assert found.fetchone() is None
