"""A pickle that somebody wrote into the database is never loaded, whatever column.

Loading one runs what is in it. DBOS loads those whose row says so; dbosify takes
nothing but protobuf and JSON, so a planted one is damage to one run, and no more.
"""

from __future__ import annotations

import base64
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from dbosify.client import Client, WorkflowExecutionStatus, WorkflowQueryFailedError
from dbosify.service import RPCError, RPCStatusCode
from tests.fix_postgres import FreshDatabase
from tests.unit.face.greeting import greets, served, started
from tests.unit.face.workflows import Patient
from tests.waiting import eventually

HARMLESS = (
    ("workflow_status", "inputs"),
    ("workflow_status", "output"),
    ("workflow_status", "error"),
    ("workflow_input", "inputs"),
    ("workflow_output", "output"),
    ("workflow_output", "error"),
    ("operation_outputs", "error"),
)
"""Where DBOS's tools look; dbosify writes some of it, and reads none."""


WITHOUT_SERIALIZATION = ("workflow_input", "workflow_output")
"""The tables whose rows rely on that of the run's own."""


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, crater: Path) -> None:
        self.crater = crater

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.crater,)


def bomb(crater: Path) -> str:
    """Such a pickle, as DBOS would have written it."""
    return base64.b64encode(pickle.dumps(Bomb(crater))).decode()


def test_the_bomb_works(tmp_path: Path) -> None:
    pickle.loads(base64.b64decode(bomb(tmp_path / "crater")))
    assert (tmp_path / "crater").exists()


def plant(url: str, crater: Path, *places: tuple[str, str]) -> None:
    """Put a bomb into the columns of every row, and call all of them pickles."""
    with psycopg.connect(url, autocommit=True) as link:
        for table, column in places:
            name = sql.Identifier(table)
            change = sql.SQL("UPDATE dbos.{} SET {} = %s").format(
                name, sql.Identifier(column)
            )
            link.execute(change, [bomb(crater)])
            if table not in WITHOUT_SERIALIZATION:
                called = "UPDATE dbos.{} SET serialization = 'py_pickle'"
                link.execute(sql.SQL(called).format(name))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """A client that gives its connections back."""
    client = await Client.connect(url)
    try:
        yield client
    finally:
        await client.close()


@pytest.mark.parametrize("closed", [False, True])
async def test_pickles_where_the_tools_of_dbos_look_are_not_loaded(
    closed: bool, fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    url, crater = fresh_database(), tmp_path / "crater"
    async with connected(url) as client:
        handle = await started(client, "queue")
        await handle.signal(Patient.say, "word")
        if closed:
            async with served(client, task_queue="queue"):
                await handle.result()
        plant(url, crater, *HARMLESS)
        async with served(client, task_queue="queue"):
            assert await handle.result() == "word"
            assert not await handle.query(Patient.waits)
        described = await handle.describe()
        assert described.status == WorkflowExecutionStatus.COMPLETED
    assert not crater.exists()


@pytest.mark.oracle_exempt("its history is damaged on purpose")
async def test_a_pickle_in_the_journal_is_not_loaded_and_told_as_damage(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    url, crater = fresh_database(), tmp_path / "crater"
    async with connected(url) as client:
        handle = await started(client, "queue")
        await handle.signal(Patient.say, "word")
        async with served(client, task_queue="queue"):
            await handle.result()
        plant(url, crater, ("operation_outputs", "output"))
        async with served(client, task_queue="queue"):
            with pytest.raises(RPCError, match="journal of the run is damaged") as told:
                await handle.fetch_history()
            with pytest.raises(
                WorkflowQueryFailedError, match="journal of the run is damaged"
            ):
                await handle.query(Patient.waits)
            assert await greets(client)
    assert told.value.status == RPCStatusCode.DATA_LOSS
    assert not crater.exists()


@pytest.mark.oracle_exempt("its history is damaged on purpose")
async def test_a_pickle_in_an_inbox_is_not_loaded_and_told_as_damage(
    fresh_database: FreshDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url, crater = fresh_database(), tmp_path / "crater"
    async with connected(url) as client:
        handle = await started(client, "queue")
        await handle.signal(Patient.say, "word")
        plant(url, crater, ("notifications", "message"))

        async def is_logged() -> None:
            assert "inbox of the run is damaged" in caplog.text

        async with served(client, task_queue="queue"):
            with pytest.raises(RPCError, match="inbox of the run is damaged") as told:
                await handle.fetch_history()
            await eventually(is_logged, patience=30)
            assert await greets(client)
    assert told.value.status == RPCStatusCode.DATA_LOSS
    assert not crater.exists()
