"""What a codec encrypts stands nowhere in the database."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import sql

from dbosify.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
)
from dbosify.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
)
from dbosify.worker import Worker
from tests.fix_postgres import FreshDatabase
from tests.ported_temporal.test_codecs_secrets import HidingCodec
from tests.unit.face.greeting import random_name
from tests.unit.security.secretive import (
    ONCE_MORE,
    SECRET,
    TEN_SECONDS,
    Child,
    Secretive,
    fail,
    keep,
)

ENCRYPTING = dataclasses.replace(
    DataConverter.default,
    payload_codec=HidingCodec(),
    failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
)


def spellings(secret: str) -> set[str]:
    """How the text may stand in a dump: as it is, in hexadecimal, in base64."""
    data = secret.encode()
    found = {secret, data.hex()}
    for before in range(3):
        # The characters at both ends hold bits of the neighbours, too.
        text = base64.b64encode(bytes(before) + data + bytes(2)).decode()
        found.add(text[4:-4])
    return found


def where_it_stands(url: str, secret: str) -> set[str]:
    """The tables in which the text stands, in whatever column and spelling."""
    sought = spellings(secret)
    tables = set()
    with psycopg.connect(url, autocommit=True) as link:
        names = link.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'dbos'"
        ).fetchall()
        for (name,) in names:
            rows = link.execute(
                sql.SQL("SELECT t::text FROM dbos.{} t").format(sql.Identifier(name))
            ).fetchall()
            if any(each in row for (row,) in rows for each in sought):
                tables.add(name)
    return tables


@asynccontextmanager
async def connected(url: str, converter: DataConverter) -> AsyncIterator[Client]:
    """A client that gives its connections back."""
    client = await Client.connect(url, data_converter=converter)
    try:
        yield client
    finally:
        await client.close()


async def put_the_secret_everywhere(client: Client) -> None:
    """A run with all that takes payloads, a schedule, and activities without a run."""
    async with Worker(
        client,
        task_queue=random_name("queue"),
        workflows=[Child, Secretive],
        activities=[keep, fail],
        build_id="face",
    ) as worker:
        where: dict[str, Any] = {"id": random_name(), "task_queue": worker.task_queue}
        handle = await client.start_workflow(
            Secretive.run,
            SECRET,
            memo={"start": SECRET},
            static_summary=SECRET,
            static_details=SECRET,
            **where,
        )
        assert await handle.query(Secretive.ask, SECRET) == SECRET
        assert await handle.execute_update(Secretive.change, SECRET) == SECRET
        await handle.signal(Secretive.tell, SECRET)
        assert await handle.result() == SECRET
        action = ScheduleActionStartWorkflow(
            Secretive.run, SECRET, memo={"start": SECRET}, **where
        )
        await client.create_schedule(
            random_name(),
            Schedule(action=action, spec=ScheduleSpec()),
            memo={"start": SECRET},
        )
        assert (
            await client.execute_activity(
                keep,
                SECRET,
                id=random_name(),
                task_queue=worker.task_queue,
                start_to_close_timeout=TEN_SECONDS,
                retry_policy=ONCE_MORE,
                summary=SECRET,
            )
            == SECRET
        )


async def test_what_a_codec_encrypts_stands_in_no_table(
    fresh_database: FreshDatabase,
) -> None:
    url = fresh_database()
    async with connected(url, ENCRYPTING) as client:
        await put_the_secret_everywhere(client)
    assert where_it_stands(url, SECRET) == set()


async def test_without_a_codec_the_search_finds_it(
    fresh_database: FreshDatabase,
) -> None:
    url = fresh_database()
    async with connected(url, DataConverter.default) as client:
        await put_the_secret_everywhere(client)
    assert where_it_stands(url, SECRET) >= {
        "dbosify_executions",
        "dbosify_schedules",
        "dbosify_standalone",
        "dbosify_updates",
        "notifications",
        "operation_outputs",
        "workflow_input",
        "workflow_output",
    }
