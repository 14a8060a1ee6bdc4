"""Workers and clients need a role that may change rows, and nothing else.

The grants are read from the document that tells of them, so that it can't be wrong.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql

from dbosify._store.migrate import ensure_schema
from dbosify._store.url import DatabaseUrl
from dbosify.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
)
from tests.fix_postgres import FreshDatabase
from tests.unit.face.greeting import random_name, served
from tests.unit.face.workflows import Greeting, Story
from tests.unit.repo.sources import ROOT
from tests.waiting import eventually

PASSWORD = "not a secret"


def grants() -> str:
    """The statements that docs/security.md tells an operator to run."""
    [block] = re.findall(
        r"```sql\n(.*?)```", (ROOT / "docs/security.md").read_text(), re.DOTALL
    )
    return str(block)


@pytest.fixture
def owner(fresh_database: FreshDatabase) -> DatabaseUrl:
    """The role that migrates, in a database in which nothing is."""
    return DatabaseUrl.parse(fresh_database())


@pytest.fixture
def worker_role(owner: DatabaseUrl) -> Iterator[DatabaseUrl]:
    """A new role that may only log in."""
    name = f"app_{uuid.uuid4().hex[:8]}"
    role = sql.Identifier(name)
    with psycopg.connect(owner.conninfo, autocommit=True) as link:
        link.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, PASSWORD))
        yield replace(owner, user=name, password=PASSWORD)
        link.execute(sql.SQL("DROP OWNED BY {}").format(role))
        link.execute(sql.SQL("DROP ROLE {}").format(role))


def migrate(owner: DatabaseUrl) -> None:
    """Bring the schema up to date, as `dbosify migrate` does."""
    ensure_schema(owner, schema="dbos", namespace="default")


def grant(owner: DatabaseUrl, worker_role: DatabaseUrl) -> None:
    """Do what the document says."""
    with psycopg.connect(owner.conninfo, autocommit=True) as link:
        link.execute(re.sub(r"\bapp\b", str(worker_role.user), grants()).encode())


def url_of(url: DatabaseUrl) -> str:
    """The URL as a user writes it."""
    return url.sqlalchemy_url.replace("postgresql+psycopg", "postgresql")


async def test_a_role_without_ddl_runs_signals_schedules_and_lists(
    owner: DatabaseUrl, worker_role: DatabaseUrl
) -> None:
    migrate(owner)
    grant(owner, worker_role)
    client = await Client.connect(url_of(worker_role))
    try:
        async with served(client) as worker:
            handle = await client.start_workflow(
                Story.run, "Ada", id=random_name(), task_queue=worker.task_queue
            )
            await handle.signal(Story.say, "please")
            assert (await handle.result())["word"] == "please"
            action = ScheduleActionStartWorkflow(
                Greeting.run, "Ada", id=random_name(), task_queue=worker.task_queue
            )
            schedule = await client.create_schedule(
                random_name(), Schedule(action=action, spec=ScheduleSpec())
            )
            await schedule.trigger()

            async def both_are_listed() -> None:
                query = "ExecutionStatus = 'Completed'"
                listed = [run async for run in client.list_workflows(query)]
                assert len(listed) == 2

            await eventually(both_are_listed, patience=30)
            await schedule.delete()
    finally:
        await client.close()


def test_that_role_may_not_create_or_drop_anything(
    owner: DatabaseUrl, worker_role: DatabaseUrl
) -> None:
    migrate(owner)
    grant(owner, worker_role)
    with psycopg.connect(worker_role.conninfo, autocommit=True) as link:
        for forbidden in (
            "CREATE TABLE dbos.own (id int)",
            "DROP TABLE dbos.workflow_status",
            "ALTER TABLE dbos.dbosify_outbox ADD own int",
            "TRUNCATE dbos.workflow_status CASCADE",
            "CREATE SCHEMA own",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                link.execute(forbidden.encode())


@pytest.mark.parametrize("is_old", [False, True])
async def test_that_role_is_told_in_a_sentence_to_have_the_schema_migrated(
    is_old: bool, owner: DatabaseUrl, worker_role: DatabaseUrl
) -> None:
    if is_old:
        migrate(owner)
        grant(owner, worker_role)
        with psycopg.connect(owner.conninfo, autocommit=True) as link:
            link.execute("UPDATE dbos.dbosify_alembic_version SET version_num = '0001'")
    with pytest.raises(RuntimeError, match=r"permission denied|must be owner") as told:
        await Client.connect(url_of(worker_role))
    assert 'Can\'t migrate schema "dbos"' in str(told.value)
    assert "Run `dbosify migrate` as a role that may" in str(told.value)
    assert PASSWORD not in str(told.value)


async def test_schedules_fire_again_when_a_right_that_was_taken_is_back(
    owner: DatabaseUrl, worker_role: DatabaseUrl, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(owner)
    grant(owner, worker_role)
    client = await Client.connect(url_of(worker_role))
    try:
        async with served(client) as worker:
            every_second = ScheduleIntervalSpec(every=timedelta(seconds=1))
            action = ScheduleActionStartWorkflow(
                Greeting.run, "Ada", id=random_name(), task_queue=worker.task_queue
            )
            schedule = await client.create_schedule(
                random_name(),
                Schedule(action=action, spec=ScheduleSpec(intervals=[every_second])),
            )

            alter(owner, "REVOKE UPDATE ON dbos.dbosify_schedules FROM {}", worker_role)

            async def it_is_told() -> None:
                assert "did not fire due schedules" in caplog.messages

            await eventually(it_is_told, patience=30)
            before = (await schedule.describe()).info.num_actions
            alter(owner, "GRANT UPDATE ON dbos.dbosify_schedules TO {}", worker_role)

            async def it_fires() -> None:
                assert (await schedule.describe()).info.num_actions > before

            await eventually(it_fires, patience=30)
            await schedule.delete()
    finally:
        await client.close()


async def test_runs_go_on_when_a_right_that_was_taken_is_back(
    owner: DatabaseUrl, worker_role: DatabaseUrl, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(owner)
    grant(owner, worker_role)
    async with (
        await Client.connect(url_of(owner)) as starter,
        await Client.connect(url_of(worker_role)) as client,
        served(client) as worker,
    ):
        alter(owner, "REVOKE UPDATE ON dbos.workflow_status FROM {}", worker_role)
        handle = await starter.start_workflow(
            Greeting.run, "Ada", id=random_name(), task_queue=worker.task_queue
        )

        async def it_is_told() -> None:
            assert "workflows not claimed" in caplog.messages

        await eventually(it_is_told, patience=30)
        alter(owner, "GRANT UPDATE ON dbos.workflow_status TO {}", worker_role)
        assert await handle.result() == "Hello, Ada!"


def alter(owner: DatabaseUrl, statement: str, role: DatabaseUrl) -> None:
    """Give or take a right."""
    with psycopg.connect(owner.conninfo, autocommit=True) as link:
        name = sql.Identifier(str(role.user))
        link.execute(sql.SQL(statement).format(name))
