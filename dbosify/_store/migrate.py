"""Brings a namespace's schema to what this version of dbosify needs, or says why not.

A schema holds DBOS's tables and ours, each with a version of its own; both change
under one lock, so that any number of processes may start at once on an empty
database. Where nothing is to be done, one query finds out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from dbos import DBOSPortableJSONSerializer
from dbos._error import DBOSException
from dbos._migration import get_dbos_migrations
from dbos._sys_db import SystemDatabase
from psycopg import sql
from psycopg.conninfo import make_conninfo

from .errors import (
    OLDEST_POSTGRES,
    CannotConnect,
    MigrationFailed,
    PoolerInTheWay,
    PostgresTooOld,
    SchemaDenied,
    SchemaMissing,
    SchemaTaken,
    SchemaTooNew,
)
from .pooler import lends_sessions
from .url import DatabaseUrl

REVISION = "0025"
"""Our newest step; written down, since looking for it would load all of Alembic's."""

VERSION_TABLE = "dbosify_alembic_version"

SCRIPTS = Path(__file__).parent / "migrations"

_CONNECT_TIMEOUT = 10
_LOCK = int.from_bytes(b"dbosify!", "big")
_LOCK_PAUSE = 0.05
_LOCK_PATIENCE = 10.0

_VERSIONS = sql.SQL(
    "SELECT (SELECT max(version) FROM {schema}.dbos_migrations),"
    " (SELECT max(version_num) FROM {schema}.{table}),"
    " (SELECT max(name) FROM {schema}.dbosify_namespace)"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a schema says of itself; the defaults are those of an empty one."""

    dbos: int = 0
    revision: str = ""
    namespace: str | None = None

    @property
    def is_current(self) -> bool:
        # A newer DBOS shares the schema with older ones; that is its own promise.
        return (
            self.dbos >= _dbos_version()
            and self.revision == REVISION
            and self.namespace is not None
        )


@dataclass(frozen=True, slots=True)
class _Target:
    """What the schema is to become."""

    url: DatabaseUrl
    schema: str
    namespace: str


def ensure_schema(
    url: DatabaseUrl, *, schema: str, namespace: str, migrate: bool = True
) -> None:
    """Make sure that `schema` can be used for `namespace`.

    Args:
        url: of the database, which must exist.
        schema: created if it doesn't exist.
        namespace: whose tables it holds or is to hold.
        migrate: False never changes anything, for a role that may not.

    Raises:
        StoreError: it can't be used; the class and its sentence say why.
    """
    target = _Target(url, schema, namespace)
    with _connected(url) as connection:
        require_version(url, connection.info.server_version)
        if _look(connection, target).is_current:
            return
        if not migrate:
            raise SchemaMissing(url, schema)
        with _connected(url) as other:
            if lends_sessions(connection, other):
                raise PoolerInTheWay(url, schema)
        _take_lock(connection)
        found = _look(connection, target)
        if not found.is_current:
            _migrate(target, empty=found.dbos == 0)
            _look(connection, target)


def require_version(url: DatabaseUrl, version: int) -> None:
    """Refuse a server that is too old; `version` is as Postgres counts (14.3: 140003).

    CockroachDB, which DBOS serves but dbosify doesn't, calls itself Postgres 13.
    """
    if version // 10_000 < OLDEST_POSTGRES:
        raise PostgresTooOld(url, version // 10_000)


@contextmanager
def _connected(url: DatabaseUrl) -> Iterator[psycopg.Connection]:
    """A connection, with what the network does to it told as a `CannotConnect`."""
    conninfo = url.conninfo
    if "connect_timeout" not in dict(url.options):
        conninfo = make_conninfo(conninfo, connect_timeout=_CONNECT_TIMEOUT)
    try:
        connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise CannotConnect(url, str(error)) from None
    try:
        with connection:
            yield connection
    except psycopg.OperationalError as error:
        raise CannotConnect(url, str(error)) from None


def _look(connection: psycopg.Connection, target: _Target) -> _Found:
    """Read the versions, and refuse what must not even be migrated."""
    query = _VERSIONS.format(
        schema=sql.Identifier(target.schema), table=sql.Identifier(VERSION_TABLE)
    )
    try:
        row = connection.execute(query).fetchone()
    except psycopg.errors.UndefinedTable:
        return _Found()
    except psycopg.errors.InsufficientPrivilege as error:
        raise SchemaDenied(target.url, target.schema, reason=str(error)) from None
    dbos, revision, namespace = row or (None, None, None)
    found = _Found(dbos or 0, revision or "", namespace)
    if found.revision > REVISION:
        raise SchemaTooNew(target.url, target.schema)
    if found.namespace not in (None, target.namespace):
        raise SchemaTaken(target.url, target.schema, owner=found.namespace)
    return found


@cache
def _dbos_version() -> int:
    return len(get_dbos_migrations("dbos", use_listen_notify=True))


def _take_lock(connection: psycopg.Connection) -> None:
    """Wait for the right to migrate in this database; it ends with the connection.

    By asking again and again: a statement that waits for the lock would hold a
    snapshot, and the `CREATE INDEX CONCURRENTLY` of the process that has the lock
    waits until no older snapshot is left.

    One lock for all schemas, since DBOS has only one as well, and who loses that asks
    for it once a second.
    """
    query = "SELECT pg_try_advisory_lock(%s)"
    warn_at = time.monotonic() + _LOCK_PATIENCE
    while connection.execute(query, [_LOCK]).fetchone() != (True,):
        if time.monotonic() > warn_at:
            warn_at = float("inf")
            _log.warning("Waiting for another process that migrates this database")
        time.sleep(_LOCK_PAUSE)


def _migrate(target: _Target, *, empty: bool) -> None:
    # Made from a function and not from a URL, so that nothing DBOS or SQLAlchemy log
    # about the engine can hold a password. Two connections: DBOS keeps a lock on one.
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(target.url.conninfo),
        pool_size=2,
        max_overflow=0,
    )
    if empty:
        sa.event.listen(engine, "before_cursor_execute", _index_at_once, retval=True)
    try:
        _migrate_dbos(engine, target.schema)
        with engine.begin() as connection:
            _migrate_own(connection, target)
    except (sa.exc.DBAPIError, psycopg.Error, DBOSException) as error:
        cause = getattr(error, "orig", error)
        denied = isinstance(cause, psycopg.errors.InsufficientPrivilege)
        raise MigrationFailed(
            target.url, target.schema, reason=str(cause), denied=denied
        ) from None
    finally:
        engine.dispose()


def _index_at_once(
    connection: sa.Connection,
    cursor: object,
    statement: str,
    parameters: object,
    context: object,
    many: bool,
) -> tuple[str, object]:
    """Build the indexes of tables that nobody uses yet without waiting for anybody.

    CONCURRENTLY waits for every transaction of the database, for each index again; a
    DBOS runtime has one open nearly all the time, so a second namespace would take
    half a minute while a worker of the first one runs.
    """
    return statement.replace("INDEX CONCURRENTLY", "INDEX"), parameters


def _migrate_dbos(engine: sa.Engine, schema: str) -> None:
    """Let DBOS migrate, under the lock that its own processes take."""
    database = SystemDatabase.create(
        system_database_url="postgresql+psycopg://",
        engine_kwargs={},
        engine=engine,
        schema=schema,
        serializer=DBOSPortableJSONSerializer(),
        executor_id=None,
    )
    try:
        database.run_migrations()
    finally:
        database.destroy()


def _migrate_own(connection: sa.Connection, target: _Target) -> None:
    """Run the steps that are missing, and name the namespace, in one transaction."""
    scripts = ScriptDirectory(str(SCRIPTS))

    def steps(heads: tuple[str, ...], _: MigrationContext) -> list[MigrationStep]:
        missing = scripts.iterate_revisions("head", heads, implicit_base=True)
        return [
            MigrationStep.upgrade_from_script(scripts.revision_map, script)
            for script in reversed(list(missing))
        ]

    context = MigrationContext.configure(
        connection,
        opts={
            "fn": steps,
            "version_table": VERSION_TABLE,
            "version_table_schema": target.schema,
        },
    )
    context.run_migrations(op=Operations(context), schema=target.schema)
    table = sa.table("dbosify_namespace", sa.column("name"), schema=target.schema)
    if connection.scalar(sa.select(table.c.name)) is None:
        connection.execute(sa.insert(table).values(name=target.namespace))
