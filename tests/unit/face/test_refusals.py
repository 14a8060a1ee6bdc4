"""What can't be served is refused with one sentence that says what to do."""

import traceback
from typing import Any

import dbos
import psycopg
import pytest
import temporalio.client
from sqlalchemy.engine import make_url

from dbosify.client import Client
from dbosify.service import (
    HttpConnectProxyConfig,
    RPCError,
    RPCStatusCode,
    TLSConfig,
)
from tests.fix_postgres import FreshDatabase
from tests.unit.face.greeting import random_name, served, started

UNREACHABLE = "postgresql://ada:secret@127.0.0.1:1/somewhere"


def assert_plain(error: BaseException) -> None:
    """The error is all there is to read: no second traceback comes before it."""
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    assert "".join(traceback.format_exception(error)).count("Traceback (most") == 1
    assert "\n" not in str(error)
    assert "secret" not in str(error)


@pytest.fixture
def without_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a role that may not create tables wants it."""
    monkeypatch.setenv("DBOSIFY_MIGRATE", "0")


BAD_URLS = {
    "postgresql://localhost:port/app": "can't be taken apart",
    "postgresql://localhost:99999/app": "port",
    "postgresql:///app?colour=red": "colour",
    "postgresql+nosuchdriver://localhost/app": "must look like",
    "postgresql://ada:secret@[::1/app": "can't be taken apart",
}


@pytest.mark.parametrize(("url", "said"), BAD_URLS.items())
async def test_a_bad_url_is_refused_by_every_door(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as by_client:
        await Client.connect(url)
    assert_plain(by_client.value)
    with pytest.raises(ValueError, match=said) as by_official_client:
        await temporalio.client.Client.connect(url)
    assert_plain(by_official_client.value)
    with pytest.raises(ValueError, match=said) as by_worker:
        served(url)
    assert_plain(by_worker.value)


async def test_a_dbos_config_without_a_database_is_refused() -> None:
    with pytest.raises(ValueError, match="no system_database_url") as caught:
        served({"name": "face"})
    assert_plain(caught.value)


def test_a_dbos_config_of_another_schema_is_refused(postgres_url: str) -> None:
    config: dbos.DBOSConfig = {
        "name": "face",
        "system_database_url": postgres_url,
        "dbos_system_schema": "elsewhere",
    }
    with pytest.raises(ValueError, match=r'lives in schema "dbos".*"elsewhere"'):
        served(config)
    with pytest.raises(ValueError, match=r'lives in schema "dbos_orders"'):
        served(config, namespace="orders")


def test_a_dbos_client_of_another_schema_is_refused(postgres_url: str) -> None:
    tools = dbos.DBOSClient(
        system_database_url=postgres_url, dbos_system_schema="elsewhere"
    )
    try:
        with pytest.raises(ValueError, match=r'lives in schema "dbos".*"elsewhere"'):
            Client(tools)
    finally:
        tools.destroy()


async def test_an_unreachable_postgres_is_refused_by_connect() -> None:
    with pytest.raises(RuntimeError, match="Can't connect to") as caught:
        await Client.connect(UNREACHABLE)
    assert_plain(caught.value)


async def test_an_unreachable_postgres_is_refused_by_the_official_connect() -> None:
    with pytest.raises(RuntimeError, match="Can't connect to") as caught:
        await temporalio.client.Client.connect(UNREACHABLE)
    assert_plain(caught.value)


async def test_an_unreachable_postgres_is_refused_by_a_lazy_clients_first_call() -> (
    None
):
    client = await Client.connect(UNREACHABLE, lazy=True)
    with pytest.raises(RuntimeError, match="Can't connect to") as caught:
        await started(client)
    assert_plain(caught.value)


async def test_an_unreachable_postgres_is_refused_by_a_worker() -> None:
    with pytest.raises(RuntimeError, match="Can't connect to") as caught:
        await served(UNREACHABLE).run()
    assert_plain(caught.value)


async def test_a_database_that_is_not_there_is_refused(postgres_url: str) -> None:
    name = random_name("nowhere")
    url = make_url(postgres_url).set(database=name)
    with pytest.raises(RuntimeError, match=name) as caught:
        await Client.connect(url.render_as_string(hide_password=False))
    assert_plain(caught.value)


@pytest.mark.usefixtures("without_migrations")
class TestWithMigrationsOff:
    """Nothing is created where that is not wanted."""

    async def test_an_empty_database_is_refused_and_left_empty(
        self, fresh_database: FreshDatabase
    ) -> None:
        url = fresh_database()
        for connect in (Client.connect, temporalio.client.Client.connect):
            with pytest.raises(RuntimeError, match="has not been migrated") as caught:
                await connect(url)
            assert_plain(caught.value)
        with psycopg.connect(url) as connection:
            schemas = connection.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'dbos%'"
            ).fetchall()
        assert schemas == []

    async def test_an_empty_database_is_refused_by_a_worker(
        self, fresh_database: FreshDatabase
    ) -> None:
        with pytest.raises(RuntimeError, match="has not been migrated") as caught:
            await served(fresh_database()).run()
        assert_plain(caught.value)

    async def test_an_unknown_namespace_is_refused_by_connect(
        self, postgres_url: str, client: Client
    ) -> None:
        with pytest.raises(RuntimeError, match="has not been migrated") as caught:
            await Client.connect(postgres_url, namespace="nowhere")
        assert_plain(caught.value)

    async def test_a_migrated_database_is_served(
        self, postgres_url: str, client: Client
    ) -> None:
        async with await Client.connect(postgres_url) as another:
            assert await started(another)


class TestAnUnknownNamespace:
    """Clients and workers that were not asked to create it get Temporal's error."""

    async def test_is_not_found_by_a_call(self, client: Client) -> None:
        lost = Client(client.service_client, namespace="nowhere")
        with pytest.raises(RPCError, match="Namespace nowhere is not found") as caught:
            await started(lost)
        assert caught.value.status == RPCStatusCode.NOT_FOUND
        assert_plain(caught.value)

    async def test_is_not_found_by_the_official_client(self, postgres_url: str) -> None:
        lost = await temporalio.client.Client.connect(postgres_url, namespace="nowhere")
        with pytest.raises(RPCError, match="Namespace nowhere is not found"):
            await started(lost)

    async def test_is_not_found_by_a_worker(self, client: Client) -> None:
        lost = Client(client.service_client, namespace="nowhere")
        with pytest.raises(
            RuntimeError, match="Namespace nowhere is not found"
        ) as caught:
            await served(lost).run()
        assert_plain(caught.value)

    async def test_is_not_created_by_asking(
        self, postgres_url: str, client: Client
    ) -> None:
        lost = Client(client.service_client, namespace="nowhere")
        with pytest.raises(RPCError):
            await started(lost)
        with psycopg.connect(postgres_url) as connection:
            found = connection.execute(
                "SELECT FROM pg_namespace WHERE nspname = 'dbos_nowhere'"
            ).fetchall()
        assert found == []


NETWORK_OPTIONS: dict[str, Any] = {
    "tls": True,
    "tls with certificates": TLSConfig(domain="example.com"),
    "api_key": "secret",
    "http_connect_proxy_config": HttpConnectProxyConfig("127.0.0.1:3128"),
}


@pytest.mark.parametrize("option", NETWORK_OPTIONS)
async def test_options_of_a_connection_that_does_not_exist_are_refused(
    postgres_url: str, option: str
) -> None:
    name = option.split()[0]
    options: dict[str, Any] = {name: NETWORK_OPTIONS[option]}
    for connect in (Client.connect, temporalio.client.Client.connect):
        with pytest.raises(
            ValueError, match=f"{name} has no meaning for a Postgres URL"
        ) as caught:
            await connect(postgres_url, **options)
        assert_plain(caught.value)
