"""A schema is migrated once whoever comes first, and refused in one clear sentence."""

import asyncio
import copy
import logging
import multiprocessing
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Thread
from typing import Any

import alembic.op
import psycopg
import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from dbos import DBOS
from psycopg import sql

from dbosify._store import migrate
from dbosify._store.errors import (
    CannotConnect,
    MigrationFailed,
    PostgresTooOld,
    SchemaDenied,
    SchemaMissing,
    SchemaTaken,
    SchemaTooNew,
    StoreError,
)
from dbosify._store.migrate import ensure_schema
from dbosify._store.url import DatabaseUrl
from tests.fix_postgres import FreshDatabase
from tests.waiting import eventually

OUR_TABLES = {
    "dbosify_activities",
    "dbosify_alembic_version",
    "dbosify_batches",
    "dbosify_deployments",
    "dbosify_executions",
    "dbosify_fairness",
    "dbosify_namespace",
    "dbosify_nexus_endpoints",
    "dbosify_nexus_operations",
    "dbosify_outbox",
    "dbosify_queries",
    "dbosify_queue_configs",
    "dbosify_rates",
    "dbosify_routes",
    "dbosify_schedules",
    "dbosify_search_attributes",
    "dbosify_standalone",
    "dbosify_standalone_operations",
    "dbosify_updates",
    "dbosify_version_queues",
    "dbosify_versions",
    "dbosify_virtual_time",
    "dbosify_version_sets",
    "dbosify_worker_instances",
    "dbosify_workers",
}
PROCESSES = 8


@pytest.fixture
def url(fresh_database: FreshDatabase) -> DatabaseUrl:
    """A database in which nothing is."""
    return DatabaseUrl.parse(fresh_database())


@pytest.fixture
def migrated(url: DatabaseUrl) -> DatabaseUrl:
    """A database whose schema `dbos` holds the namespace `default`."""
    ensure(url)
    return url


@pytest.fixture(scope="module")
def shared(postgres_server_url: str) -> Iterator[DatabaseUrl]:
    """A migrated database for the tests that leave its schema as it is."""
    server = DatabaseUrl.parse(postgres_server_url)
    url = replace(server, database=f"dbosify_test_{uuid.uuid4().hex}")
    rows(server, f"CREATE DATABASE {url.database} ENCODING 'UTF8' TEMPLATE template0")
    try:
        ensure(url)
        yield url
    finally:
        rows(server, f"DROP DATABASE {url.database} WITH (FORCE)")


def ensure(
    url: DatabaseUrl, *, migrate: bool = True, namespace: str = "default"
) -> None:
    """Ensure the default schema."""
    ensure_schema(url, schema="dbos", namespace=namespace, migrate=migrate)


def connect(url: DatabaseUrl) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection as the database's owner."""
    return psycopg.connect(url.conninfo, autocommit=True)


def rows(url: DatabaseUrl, query: str, *params: object) -> list[tuple[Any, ...]]:
    """Run one statement."""
    with connect(url) as connection:
        # The queries of this file are literals; only their places in it vary.
        cursor = connection.execute(query.encode(), params)
        return cursor.fetchall() if cursor.description else []


def tables(url: DatabaseUrl, schema: str = "dbos") -> set[str]:
    """The tables of a schema."""
    found = rows(url, "SELECT tablename FROM pg_tables WHERE schemaname = %s", schema)
    return {name for (name,) in found}


@contextmanager
def role(url: DatabaseUrl, *grants: str) -> Iterator[DatabaseUrl]:
    """The URL of the same database for a new role that has these rights only."""
    name, password = f"role_{uuid.uuid4().hex[:12]}", "p@ss/w:rd"
    identifier = sql.Identifier(name)
    with connect(url) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(identifier, password)
        )
        for grant in grants:
            statement = f"GRANT {grant} TO {identifier.as_string(connection)}"
            connection.execute(statement.encode())
        try:
            yield replace(url, user=name, password=password)
        finally:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(identifier))
            connection.execute(sql.SQL("DROP ROLE {}").format(identifier))


def check_sentence(error: StoreError) -> str:
    """Every refusal is one line, a sentence, and has no traceback behind it."""
    text = str(error)
    assert "\n" not in text
    assert text.endswith((".", "?"))
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert str(copy.copy(error)) == text
    assert type(copy.copy(error)) is type(error)
    return text


def test_an_empty_database_gets_the_tables_of_dbos_and_ours(url: DatabaseUrl) -> None:
    ensure(url)

    assert tables(url) > OUR_TABLES | {"workflow_status", "operation_outputs"}
    ensure(url, migrate=False)


def test_a_namespace_is_named_once_in_its_schema(url: DatabaseUrl) -> None:
    for _ in range(2):
        ensure_schema(url, schema="dbos_orders", namespace="orders")
    ensure(url)

    query = "SELECT name, created_at <= now(), id IS NULL FROM {}.dbosify_namespace"
    assert rows(url, query.format("dbos_orders")) == [("orders", True, False)]
    assert rows(url, query.format("dbos")) == [("default", True, False)]


def test_a_schema_may_have_any_name(url: DatabaseUrl) -> None:
    name = 'Sales "EU" 2026; select'

    ensure_schema(url, schema=name, namespace="sales")

    assert tables(url, name) > OUR_TABLES
    ensure_schema(url, schema=name, namespace="sales", migrate=False)


def test_an_application_of_dbos_keeps_its_rows(url: DatabaseUrl) -> None:
    DBOS.migrate(url.sqlalchemy_url)
    rows(url, "INSERT INTO dbos.workflow_status (workflow_uuid) VALUES ('mine')")

    ensure(url)

    assert tables(url) > OUR_TABLES
    assert rows(url, "SELECT workflow_uuid FROM dbos.workflow_status") == [("mine",)]


def test_an_older_schema_of_dbos_is_brought_up_to_date(migrated: DatabaseUrl) -> None:
    newest = rows(migrated, "SELECT version FROM dbos.dbos_migrations")
    rows(migrated, "UPDATE dbos.dbos_migrations SET version = version - 1")

    with pytest.raises(SchemaMissing):
        ensure(migrated, migrate=False)
    ensure(migrated)

    assert rows(migrated, "SELECT version FROM dbos.dbos_migrations") == newest


def test_a_newer_schema_of_dbos_is_accepted(migrated: DatabaseUrl) -> None:
    rows(migrated, "UPDATE dbos.dbos_migrations SET version = version + 1")

    ensure(migrated)
    ensure(migrated, migrate=False)


def test_a_schema_that_the_reset_of_dbos_emptied_works_again(
    migrated: DatabaseUrl,
) -> None:
    for table in tables(migrated) - {"dbos_migrations"}:
        rows(migrated, f"DELETE FROM dbos.{table}")

    ensure(migrated)

    ensure(migrated, migrate=False)
    assert rows(migrated, "SELECT name FROM dbos.dbosify_namespace") == [("default",)]


def _start_together(barrier: Barrier, text: str) -> None:
    barrier.wait(timeout=30)
    ensure(DatabaseUrl.parse(text))


@pytest.mark.parametrize("migrated_by", ["nobody", "DBOS"])
def test_many_processes_may_start_at_once(url: DatabaseUrl, migrated_by: str) -> None:
    if migrated_by == "DBOS":
        # Or else DBOS's own lock lets them through one after the other.
        DBOS.migrate(url.sqlalchemy_url)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    barrier = context.Barrier(PROCESSES)
    processes = [
        context.Process(target=_start_together, args=(barrier, url.sqlalchemy_url))
        for _ in range(PROCESSES)
    ]

    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=50)

    assert [process.exitcode for process in processes] == [0] * PROCESSES
    ensure(url, migrate=False)
    assert rows(url, "SELECT name FROM dbos.dbosify_namespace") == [("default",)]


def test_threads_may_migrate_several_schemas_at_once(url: DatabaseUrl) -> None:
    names = ["one", "two", "three"]
    threads = [
        Thread(
            target=ensure_schema,
            args=(url,),
            kwargs={"schema": f"dbos_{name}", "namespace": name},
        )
        for name in names
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for name in names:
        ensure_schema(url, schema=f"dbos_{name}", namespace=name, migrate=False)


async def test_a_second_process_waits_for_the_first(url: DatabaseUrl) -> None:
    with connect(url) as first:
        migrate._take_lock(first)
        second = asyncio.create_task(asyncio.to_thread(ensure, url))

        async def has_asked() -> None:
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
                " AND query LIKE 'SELECT pg_try_advisory_lock%%'"
                " AND pid <> %s AND state = 'idle'"
            )
            pid = first.info.backend_pid
            assert rows(url, query, url.database, pid) == [(1,)]

        await eventually(has_asked)
        assert tables(url) == set()
    await second

    assert tables(url) > OUR_TABLES


async def test_the_wait_for_another_process_is_told_once_it_is_long(
    url: DatabaseUrl, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "_LOCK_PATIENCE", 0.0)
    warning = "Waiting for another process that migrates this database"
    with connect(url) as first:
        migrate._take_lock(first)
        second = asyncio.create_task(asyncio.to_thread(ensure, url))

        async def told() -> None:
            assert warning in caplog.messages

        await eventually(told)
    await second

    assert caplog.messages.count(warning) == 1


def test_a_current_schema_needs_no_lock(shared: DatabaseUrl) -> None:
    with connect(shared) as other:
        migrate._take_lock(other)

        ensure(shared)


def test_an_empty_database_is_left_empty_when_migrations_are_off(
    url: DatabaseUrl,
) -> None:
    with pytest.raises(SchemaMissing) as caught:
        ensure(url, migrate=False)

    assert "dbosify migrate" in check_sentence(caught.value)
    assert tables(url) == set()
    assert not rows(url, "SELECT FROM pg_namespace WHERE nspname = 'dbos'")


def test_a_role_that_may_only_read_the_versions_finds_a_current_schema_fit(
    shared: DatabaseUrl,
) -> None:
    grants = [
        "USAGE ON SCHEMA dbos",
        "SELECT ON dbos.dbos_migrations",
        "SELECT ON dbos.dbosify_alembic_version",
        "SELECT ON dbos.dbosify_namespace",
    ]
    with role(shared, *grants) as limited:
        ensure(limited, migrate=False)
        ensure(limited, migrate=True)


def test_a_role_that_may_not_see_the_schema_is_told_so(shared: DatabaseUrl) -> None:
    with role(shared) as stranger, pytest.raises(SchemaDenied) as caught:
        ensure(stranger)

    assert "permission denied for schema dbos" in check_sentence(caught.value)


def test_a_role_that_may_not_create_a_schema_is_told_so(url: DatabaseUrl) -> None:
    with role(url) as limited, pytest.raises(MigrationFailed) as caught:
        ensure(limited)

    text = check_sentence(caught.value)
    assert f"permission denied for database {url.database}" in text
    assert "p@ss" not in text
    assert tables(url) == set()


def test_a_role_may_migrate_a_schema_that_was_made_for_it(url: DatabaseUrl) -> None:
    rows(url, "CREATE SCHEMA dbos")
    with role(url, "ALL ON SCHEMA dbos") as limited:
        ensure(limited)

        ensure(limited, migrate=False)


@pytest.mark.parametrize("migrations", [True, False])
def test_a_schema_of_a_newer_dbosify_is_refused(
    migrated: DatabaseUrl, migrations: bool
) -> None:
    rows(migrated, "UPDATE dbos.dbosify_alembic_version SET version_num = '9999'")

    with pytest.raises(SchemaTooNew) as caught:
        ensure(migrated, migrate=migrations)

    assert "upgrade dbosify" in check_sentence(caught.value)


@pytest.mark.parametrize("migrations", [True, False])
def test_a_schema_of_another_namespace_is_refused(
    shared: DatabaseUrl, migrations: bool
) -> None:
    with pytest.raises(SchemaTaken) as caught:
        ensure(shared, namespace="orders", migrate=migrations)

    assert 'holds namespace "default"' in check_sentence(caught.value)


def test_a_database_that_does_not_exist_is_named(shared: DatabaseUrl) -> None:
    missing = f"missing_{uuid.uuid4().hex}"
    url = replace(shared, database=missing)

    with pytest.raises(CannotConnect) as caught:
        ensure(url)

    assert f'database "{missing}" does not exist' in check_sentence(caught.value)


def test_an_unknown_user_is_refused_without_showing_the_password(
    shared: DatabaseUrl,
) -> None:
    url = replace(shared, user="nobody", password="hunter2")

    with pytest.raises(CannotConnect) as caught:
        ensure(url)

    assert "nobody" in check_sentence(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_port_where_nobody_listens_is_named() -> None:
    with socket.socket() as taken:
        # Bound and never listening: connections to it are refused for certain.
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        url = DatabaseUrl.parse(f"postgresql://ann:hunter2@127.0.0.1:{port}/app")

        with pytest.raises(CannotConnect) as caught:
            ensure(url)

    text = check_sentence(caught.value)
    assert text.startswith(
        f"Can't connect to postgresql://ann:***@127.0.0.1:{port}/app: connection to"
    )
    assert "hunter2" not in text


def test_an_option_with_a_bad_value_is_named(shared: DatabaseUrl) -> None:
    url = replace(shared, options=(("connect_timeout", "soon"),))

    with pytest.raises(CannotConnect) as caught:
        ensure(url)

    assert "connect_timeout" in check_sentence(caught.value)


def test_a_server_is_refused_from_the_first_version_that_is_too_old() -> None:
    url = DatabaseUrl.parse("postgresql://ann:hunter2@db/app")
    migrate.require_version(url, 140_000)

    with pytest.raises(PostgresTooOld) as caught:
        migrate.require_version(url, 130_022)

    assert check_sentence(caught.value) == (
        "postgresql://ann:***@db/app runs Postgres 13, but dbosify needs 14 or newer."
    )


async def test_no_connection_stays_open(url: DatabaseUrl) -> None:
    await asyncio.to_thread(ensure, url)

    async def alone() -> None:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        assert rows(url, query, url.database) == [(1,)]

    await eventually(alone)


def test_logging_is_left_as_it_was(url: DatabaseUrl) -> None:
    names = [None, "alembic", "alembic.runtime.migration", "sqlalchemy", "dbos", "mine"]
    loggers = [logging.getLogger(name) for name in names]

    def state() -> list[tuple[object, ...]]:
        return [
            (log.level, log.disabled, log.propagate, tuple(log.handlers))
            for log in loggers
        ]

    before = state()
    ensure(url)

    assert state() == before


def test_an_alembic_migration_of_the_application_is_not_disturbed(
    url: DatabaseUrl,
) -> None:
    engine = sa.create_engine(url.sqlalchemy_url)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            ensure(url)
            alembic.op.execute("CREATE TABLE public.mine (id int)")
    engine.dispose()

    assert tables(url, "public") == {"mine"}


def test_the_steps_are_one_chain_up_to_the_revision_that_is_expected() -> None:
    scripts = ScriptDirectory(str(migrate.SCRIPTS))
    chain = [script.revision for script in scripts.walk_revisions()]

    assert chain[0] == migrate.REVISION
    assert chain == [f"{number:04}" for number in range(len(chain), 0, -1)]


def test_a_new_step_starts_from_a_template_that_runs(
    shared: DatabaseUrl, tmp_path: Path
) -> None:
    copied = tmp_path / "migrations"
    shutil.copytree(migrate.SCRIPTS, copied)
    script = ScriptDirectory(str(copied)).generate_revision(
        "9999", "Add a column", head="head"
    )
    assert script is not None

    spec = spec_from_file_location("step", script.path)
    assert spec is not None
    assert spec.loader is not None
    step = module_from_spec(spec)
    spec.loader.exec_module(step)
    engine = sa.create_engine(shared.sqlalchemy_url)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        step.upgrade(op=Operations(context), schema="dbos")
    engine.dispose()

    assert (step.revision, step.down_revision) == ("9999", migrate.REVISION)


def test_each_of_our_tables_says_what_it_is(shared: DatabaseUrl) -> None:
    query = (
        "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class"
        " WHERE relnamespace = 'dbos'::regnamespace AND relkind = 'r'"
        " AND relname LIKE 'dbosify%%'"
    )
    comments = dict(rows(shared, query))
    del comments["dbosify_alembic_version"]

    assert set(comments) == OUR_TABLES - {"dbosify_alembic_version"}
    assert all(text and text.startswith("dbosify: ") for text in comments.values())


@pytest.mark.parametrize("table", ["executions", "activities", "workers", "queries"])
def test_rows_that_are_updated_often_have_room_to_be(
    shared: DatabaseUrl, table: str
) -> None:
    query = "SELECT reloptions FROM pg_class WHERE oid = %s::regclass"

    assert rows(shared, query, f"dbos.dbosify_{table}") == [(["fillfactor=70"],)]


def start_run(url: DatabaseUrl, workflow_id: str, number: int, *, closed: bool) -> None:
    """Insert a run with nothing but what has no default."""
    run_id = uuid.uuid4().hex
    rows(
        url,
        "INSERT INTO dbos.dbosify_executions (run_id, workflow_id, run_number,"
        " workflow_uuid, workflow_type, task_queue, status, first_run_id,"
        " start_request_id, start_time, execution_time, close_time, started_event)"
        " VALUES (%s, %s, %s, %s, 'Ship', 'queue', 1, '', '', now(), now(),"
        " CASE WHEN %s THEN now() END, '')",
        run_id,
        workflow_id,
        number,
        f"{workflow_id}/{run_id}",
        closed,
    )


def test_a_new_run_starts_with_the_counters_of_its_first_task(
    shared: DatabaseUrl,
) -> None:
    workflow_id = uuid.uuid4().hex
    start_run(shared, workflow_id, 1, closed=False)

    query = (
        "SELECT attempt, history_length, history_size, inbox, cancel_requested,"
        " task_attempt FROM dbos.dbosify_executions WHERE workflow_id = %s"
    )
    assert rows(shared, query, workflow_id) == [(1, 2, 0, 0, False, 1)]


def test_a_workflow_id_has_any_number_of_closed_runs_and_one_open(
    shared: DatabaseUrl,
) -> None:
    workflow_id = uuid.uuid4().hex
    start_run(shared, workflow_id, 1, closed=True)
    start_run(shared, workflow_id, 2, closed=True)
    start_run(shared, workflow_id, 3, closed=False)

    with pytest.raises(psycopg.errors.UniqueViolation):
        start_run(shared, workflow_id, 4, closed=False)


def test_a_run_number_is_given_once(shared: DatabaseUrl) -> None:
    workflow_id = uuid.uuid4().hex
    start_run(shared, workflow_id, 1, closed=True)

    with pytest.raises(psycopg.errors.UniqueViolation):
        start_run(shared, workflow_id, 1, closed=True)


def test_the_clock_is_the_time_of_each_reading(shared: DatabaseUrl) -> None:
    query = (
        "SELECT dbos.dbosify_now() BETWEEN before AND clock_timestamp(),"
        " dbos.dbosify_now() > now()"
        " FROM (SELECT clock_timestamp() AS before OFFSET 0) AS started"
    )

    assert rows(shared, query) == [(True, True)]


@pytest.mark.parametrize(
    ("offset", "seconds"), [("1 hour", 3600), ("-90 seconds", -90), ("", 0)]
)
def test_a_test_moves_the_clock_of_its_session(
    shared: DatabaseUrl, offset: str, seconds: int
) -> None:
    query = "SELECT round(extract(epoch FROM dbos.dbosify_now() - clock_timestamp()))"
    with connect(shared) as connection:
        connection.execute(
            "SELECT set_config('dbosify.clock_offset', %s, false)", [offset]
        )
        moved = connection.execute(query).fetchone()

    assert moved == (seconds,)
    assert rows(shared, query) == [(0,)]


def test_the_clock_ignores_the_search_path_of_its_caller(shared: DatabaseUrl) -> None:
    query = "SELECT extract(year FROM dbos.dbosify_now()) > 2000"
    with connect(shared) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS trap")
        connection.execute(
            "CREATE OR REPLACE FUNCTION trap.clock_timestamp() RETURNS timestamptz"
            " LANGUAGE sql RETURN 'epoch'::timestamptz"
        )
        connection.execute("SET search_path = trap, pg_catalog")

        assert connection.execute(query).fetchone() == (True,)
