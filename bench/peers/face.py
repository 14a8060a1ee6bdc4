"""What a row may ask of an engine, and the list of engines.

Rows are written once against this face, so that every peer is timed by the same code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Shape(Enum):
    """The workflows of the benchmark."""

    NOOP = "noop"
    SEQUENCE = "sequence"
    PARALLEL = "parallel"
    WAITING = "waiting"
    WATCHED = "watched"
    """As WAITING, and its progress can be asked for from outside.

    A shape of its own because a Temporal query costs the workflow nothing, while a DBOS
    workflow has to publish: the signal row must not pay for that.
    """


class Run(Protocol):
    """A workflow under way."""

    async def signal(self) -> None:
        """Let a waiting workflow end."""

    async def query(self) -> int:
        """Ask a watched workflow how many activities it has done."""

    async def result(self) -> int:
        """Wait for the end."""


class Engine(Protocol):
    """A client and a worker in this process, ready to run workflows."""

    async def start(self, shape: Shape, size: int, *, run_id: str) -> Run:
        """Start a workflow of `size` activities."""

    async def attach(self, run_id: str) -> Run:
        """Find a workflow that another process started."""


Opener = Callable[[str], AbstractAsyncContextManager[Engine]]


class Server(Enum):
    """What has to run beside the engine's process."""

    POSTGRES = "postgres"
    TEMPORAL_IN_MEMORY = "temporal in memory"
    TEMPORAL_ON_FILE = "temporal on file"


@dataclass(frozen=True, slots=True)
class Peer:
    """One column of the report."""

    title: str
    server: Server
    load: Callable[[], Opener]
    """Imports the engine; apart from opening it, so that imports are not timed, and so
    that no process loads a rival's packages."""
    unthrottled: bool = False
    """Lift the limit on queue reads that the dev server has by default.

    Such peers are only run when named: they tell how much of a ratio is that limit.
    """


def _temporal_sdk(package: str, *, sandboxed: bool) -> Opener:
    from bench.peers import temporal

    temporal.load(package)
    return functools.partial(temporal.open_engine, package=package, sandboxed=sandboxed)


def _raw_dbos() -> Opener:
    from bench.peers import raw_dbos

    return raw_dbos.open_engine


def _dbosify(title: str, *, sandboxed: bool) -> Peer:
    load = functools.partial(_temporal_sdk, "dbosify", sandboxed=sandboxed)
    return Peer(title, Server.POSTGRES, load)


def _temporal(title: str, server: Server, *, unthrottled: bool = False) -> Peer:
    load = functools.partial(_temporal_sdk, "temporalio", sandboxed=True)
    return Peer(title, server, load, unthrottled)


PEERS = {
    "dbosify": _dbosify("dbosify", sandboxed=True),
    "dbosify-unsandboxed": _dbosify("dbosify, unsandboxed", sandboxed=False),
    "temporal-mem": _temporal("Temporal, in memory", Server.TEMPORAL_IN_MEMORY),
    "temporal-file": _temporal("Temporal, on a file", Server.TEMPORAL_ON_FILE),
    "temporal-mem-unthrottled": _temporal(
        "Temporal, in memory, unthrottled", Server.TEMPORAL_IN_MEMORY, unthrottled=True
    ),
    "temporal-file-unthrottled": _temporal(
        "Temporal, on a file, unthrottled", Server.TEMPORAL_ON_FILE, unthrottled=True
    ),
    "dbos": Peer("raw DBOS", Server.POSTGRES, _raw_dbos),
}

STANDARD_PEERS = [name for name, peer in PEERS.items() if not peer.unthrottled]
"""The columns of the published report."""
