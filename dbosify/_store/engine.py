"""Connections: a pool for each event loop that touches a database.

psycopg's connections belong to one event loop, while a client may be used on several
and workers may run on others; so pools are made on first use on a loop, and those of
loops that have ended are dropped.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from . import connection as connections
from . import pooler, statements
from .errors import CannotConnect
from .url import DatabaseUrl

logger = logging.getLogger(__name__)

Connection: TypeAlias = connections.Connection
Rows: TypeAlias = list[DictRow]

LOST_CONNECTION = (
    psycopg.OperationalError,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    PoolClosed,
    PoolTimeout,
)
"""What a failing database looks like; the statement may be tried again.

An unsupported feature is a plan that was prepared before a migration: what the
statement gives has other columns now. Its connection is closed, so that the next one
plans anew.
"""

_IDLE = 5
"""Seconds after which the database takes its locks from a process that stands still in
a transaction: as long as a lease by default. Until then nobody gets at its runs."""

_LONGEST = 15
"""Seconds that a transaction may take, waits for locks included."""

ANSWER_PATIENCE = 30.0
"""Seconds after which a connection without an answer is given up. A broken network is
noticed earlier by TCP, where TCP can notice; some things in between keep their end of a
connection open whatever became of the other."""

_PREPARE_AFTER = 2
"""Uses of a statement on a connection before it is prepared there."""


@dataclass(frozen=True, slots=True)
class Call:
    """A statement and its parameters."""

    name: str
    params: Mapping[str, Any]


@dataclass
class Database:
    """One namespace's tables, wherever they are.

    Args:
        url: of the database.
        schema: of the namespace.
        pool_size: most connections per event loop.
        prepare: whether statements may be prepared. A connection through a pooler never
            prepares any: the next one to use the session would find them there.
    """

    url: DatabaseUrl
    schema: str
    pool_size: int = 8
    prepare: bool = True
    pooled: bool = field(default=False, init=False)
    """Whether a pooler stands before Postgres; known once connected."""
    _pools: dict[asyncio.AbstractEventLoop, AsyncConnectionPool[Connection]] = field(
        default_factory=dict, repr=False
    )

    def in_schema(self, schema: str) -> Database:
        """The tables of another namespace, over the same connections."""
        return replace(self, schema=schema)

    async def fetch(self, name: str, params: Mapping[str, Any]) -> Rows:
        """Run one statement as a transaction of its own."""
        pool = await self.pool()
        async with pool.connection() as connection:
            with answering(connection):
                return await self.run(connection, name, params)

    async def fetch_composed(self, text: bytes, params: Mapping[str, Any]) -> Rows:
        """Run a statement made for this call, planned for just these parameters."""
        pool = await self.pool()
        async with pool.connection() as connection:
            cursor = await connection.execute(text, params, prepare=False)
            return await cursor.fetchall()

    async def run(
        self, connection: Connection, name: str, params: Mapping[str, Any]
    ) -> Rows:
        """Run one statement on a connection that the caller holds."""
        try:
            cursor = await connection.execute(
                statements.bound(name, self.schema), params
            )
        except psycopg.errors.FeatureNotSupported:
            await connection.close()
            raise
        return await cursor.fetchall() if cursor.description else []

    async def together(
        self, calls: Sequence[Call], connection: Connection
    ) -> list[Rows]:
        """Run statements in one transaction and one round trip."""
        if len(calls) == 1:
            return [await self.run(connection, calls[0].name, calls[0].params)]
        try:
            async with connection.pipeline() as pipeline, connection.transaction():
                cursors = [
                    await connection.execute(
                        statements.bound(call.name, self.schema), call.params
                    )
                    for call in calls
                ]
                await pipeline.sync()  # until then no cursor knows whether it has rows
                return [
                    await cursor.fetchall() if cursor.description else []
                    for cursor in cursors
                ]
        except BaseException as error:
            # psycopg may leave it in pipeline mode, and then whoever gets it next would
            # see no rows, whatever is in the table; or in the transaction, and then
            # what it writes next would never be committed.
            stale = isinstance(error, psycopg.errors.FeatureNotSupported)
            if stale or not _at_rest(connection):
                await connection.close()
            raise

    async def fetch_together(self, calls: Sequence[Call]) -> list[Rows]:
        """Run statements as a transaction of their own, in one round trip."""
        pool = await self.pool()
        async with pool.connection() as connection:
            with answering(connection):
                return await self.together(calls, connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection with an open transaction."""
        pool = await self.pool()
        async with pool.connection() as connection:
            with answering(connection):
                async with connection.transaction():
                    yield connection

    async def connect(self) -> Connection:
        """A connection outside the pool."""
        connection = await Connection.connect(
            self.url.lively_conninfo,
            autocommit=True,
            row_factory=dict_row,
            prepare_threshold=_PREPARE_AFTER if self.prepare else None,
        )
        await self._configure(connection)
        return connection

    async def pool(self) -> AsyncConnectionPool[Connection]:
        """The pool of the running event loop."""
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None:
            self._forget_ended_loops()
            pool = self._pools[loop] = self._new_pool()
            try:
                await pool.open(wait=True, timeout=10)
            except PoolTimeout as error:
                self._pools.pop(loop, None)
                await pool.close()
                raise CannotConnect(self.url, str(error)) from None
        return pool

    def _new_pool(self) -> AsyncConnectionPool[Connection]:
        return AsyncConnectionPool(
            self.url.lively_conninfo,
            connection_class=Connection,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "prepare_threshold": _PREPARE_AFTER if self.prepare else None,
            },
            min_size=1,
            max_size=self.pool_size,
            open=False,
            configure=self._configure,
            name=f"dbosify-{self.schema}",
        )

    def _forget_ended_loops(self) -> None:
        for loop in [loop for loop in self._pools if loop.is_closed()]:
            # Its connections close with the garbage: their loop can await nothing.
            del self._pools[loop]

    async def close(self) -> None:
        """Close the running loop's connections."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            with suppress(psycopg.Error):
                await pool.close()

    async def _configure(self, connection: Connection) -> None:
        """Make a new connection fit for our statements."""
        told = connection.info.backend_pid
        cursor = await connection.execute(
            pooler.SETTLE,
            {"pid": told, "idle": f"{_IDLE}s", "longest": f"{_LONGEST}s"},
            prepare=False,
        )
        row = await cursor.fetchone()
        if row is None or row["pid"] == told:
            return
        connection.prepare_threshold = None
        if not self.pooled:
            self.pooled = True
            logger.info(
                "%s is reached through a pooler: statements are not prepared, and what"
                " other processes do may be noticed up to a second later",
                self.url.redacted,
            )


def _at_rest(connection: Connection) -> bool:
    state = connection.pgconn
    return (
        state.pipeline_status == PipelineStatus.OFF
        and state.transaction_status == TransactionStatus.IDLE
    )


@contextmanager
def answering(connection: Connection) -> Iterator[None]:
    """Hang up if the block takes longer than any answer of a live database.

    The end of the connection is what reaches a coroutine that waits for it, as an error
    that all callers know; a cancellation would leave it to each of them to tell.
    """
    loop = asyncio.get_running_loop()
    timer = loop.call_later(ANSWER_PATIENCE, hang_up, connection)
    try:
        yield
    finally:
        timer.cancel()


def hang_up(connection: psycopg.Connection[Any] | Connection) -> None:
    """Let whoever waits for an answer see the connection end."""
    with (
        suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as wire,
    ):
        wire.shutdown(socket.SHUT_RDWR)
