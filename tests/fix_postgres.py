"""Provides the tests' Postgres: one server a session, one database a process.

The server is, in this order: the one that ``DBOSIFY_TEST_DATABASE_URL`` names, a
container where a Docker daemon answers, the embedded one. ``--postgres`` insists on one
of them. It starts when a test first asks for it; under xdist the controlling process
starts it and tells its workers.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from dbosify._runtime import embedded
from dbosify._runtime.embedded_cluster import find_install

URL_VARIABLE = "DBOSIFY_TEST_DATABASE_URL"

IMAGE_VARIABLE = "DBOSIFY_TEST_POSTGRES_IMAGE"
DEFAULT_IMAGE = "postgres:15"

DOCKER_PATIENCE = 3
"""Seconds for a Docker daemon to say that it is there."""

CONTAINER_PATIENCE = 60.0
"""Seconds for a container's server to answer; it initialises its data first."""

CONTAINER_SETTINGS = "-c fsync=off -c full_page_writes=off -c max_connections=200"

FreshDatabase: TypeAlias = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a server.

    Attributes:
        label: For the report's header: which way, and which server it leads to.
        serve: Gives the server's URL, and stops what it started.
    """

    label: str
    serve: Callable[[], AbstractContextManager[str]]


WAY = pytest.StashKey[Way]()
SHARED_SERVER = pytest.StashKey[ExitStack]()
SHARED_URL = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of the server."""
    parser.addoption(
        "--postgres",
        choices=("auto", *WAYS),
        default="auto",
        help="where the tests' Postgres comes from (default: %(default)s)",
    )
    parser.addoption(
        "--postgres-report",
        metavar="FILE",
        type=Path,
        help="write on which Postgres the tests ran",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the way, unless the process that controls this one went it."""
    if hasattr(config, "workerinput"):
        url = config.workerinput["postgres_server_url"]
        way = Way("the session's", lambda: contextlib.nullcontext(url))
    else:
        way = _choose(str(config.getoption("--postgres")))
        if (report := config.getoption("--postgres-report")) is not None:
            report.write_text(way.label, encoding="utf-8")
    config.stash[WAY] = way


def pytest_report_header(config: pytest.Config) -> str:
    """Say what the tests ran on."""
    return f"postgres: {config.stash[WAY].label}"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker where the server is; start it for the first one."""
    stash = node.config.stash
    if SHARED_URL not in stash:
        stash[SHARED_SERVER] = ExitStack()
        stash[SHARED_URL] = stash[SHARED_SERVER].enter_context(stash[WAY].serve())
    node.workerinput["postgres_server_url"] = stash[SHARED_URL]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server that the workers shared."""
    if SHARED_SERVER in config.stash:
        config.stash[SHARED_SERVER].close()


@pytest.fixture(scope="session")
def postgres_server_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """A database of the server, from which to look after the others."""
    with pytestconfig.stash[WAY].serve() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """The database of this process, shared by its tests."""
    with _database(postgres_server_url) as url:
        yield url


@pytest.fixture
def fresh_database(postgres_server_url: str) -> Iterator[FreshDatabase]:
    """Make empty databases that only the one test uses."""
    with ExitStack() as databases:
        yield lambda: databases.enter_context(_database(postgres_server_url))


@contextmanager
def _database(server_url: str) -> Iterator[str]:
    name = f"dbosify_test_{uuid.uuid4().hex}"
    # The usual template has whatever encoding the machine had when it was set up.
    create = sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0")
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(create.format(sql.Identifier(name)))
    try:
        yield _as_url(server_url, database=name)
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(drop.format(sql.Identifier(name)))


def _as_url(url: str, *, database: str | None = None) -> str:
    # Tests connect with psycopg itself, which knows nothing of SQLAlchemy's drivers.
    plain = make_url(url).set(drivername="postgresql", database=database)
    return plain.render_as_string(hide_password=False)


def _choose(wanted: str) -> Way:
    if wanted != "auto":
        return WAYS[wanted]()
    if URL_VARIABLE in os.environ:
        return _url()
    return _testcontainers() if _docker_answers() else _embedded()


def _url() -> Way:
    if URL_VARIABLE not in os.environ:
        raise pytest.UsageError(f"--postgres url needs {URL_VARIABLE}")
    url = _as_url(os.environ[URL_VARIABLE])
    try:
        with psycopg.connect(url) as connection:
            version = connection.info.parameter_status("server_version")
    except psycopg.OperationalError as error:
        raise pytest.UsageError(f"{URL_VARIABLE} does not answer: {error}") from error
    label = f"{URL_VARIABLE}, PostgreSQL {version}"
    return Way(label, lambda: contextlib.nullcontext(url))


def _testcontainers() -> Way:
    if not _docker_answers():
        raise pytest.UsageError(
            "--postgres testcontainers needs the testcontainers package and a Docker"
            " daemon that answers"
        )
    image = os.environ.get(IMAGE_VARIABLE, DEFAULT_IMAGE)
    return Way(f"testcontainers, image {image}", lambda: _container(image))


def _docker_answers() -> bool:
    if importlib.util.find_spec("testcontainers") is None:
        return False
    docker = importlib.import_module("docker")
    try:
        client = docker.from_env(timeout=DOCKER_PATIENCE)
        with contextlib.closing(client):
            return bool(client.ping())
    except (docker.errors.DockerException, OSError):
        return False


@contextmanager
def _container(image: str) -> Iterator[str]:
    from testcontainers.core.container import DockerContainer

    password = uuid.uuid4().hex
    container = (
        DockerContainer(image)
        .with_env("POSTGRES_PASSWORD", password)
        .with_exposed_ports(5432)
        .with_command(CONTAINER_SETTINGS)
    )
    with container:
        address = (
            f"{container.get_container_host_ip()}:{container.get_exposed_port(5432)}"
        )
        url = f"postgresql://postgres:{password}@{address}/postgres"
        _await_answer(url)
        yield url


def _await_answer(url: str) -> None:
    deadline = time.monotonic() + CONTAINER_PATIENCE
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _embedded() -> Way:
    @contextmanager
    def serve() -> Iterator[str]:
        with embedded.start() as server:
            yield server.url

    return Way(f"embedded, {_embedded_version()}", serve)


def _embedded_version() -> str:
    try:
        postgres = find_install() / "bin" / "postgres"
    except embedded.EmbeddedPostgresError as error:
        # Tests that need no database run without it.
        return str(error)
    done = subprocess.run(
        [postgres, "--version"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


WAYS: dict[str, Callable[[], Way]] = {
    "url": _url,
    "testcontainers": _testcontainers,
    "embedded": _embedded,
}
