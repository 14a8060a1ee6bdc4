"""No command, however bad, breaks a turn: it is taken, or fails its workflow task.

Which commands there are, and which fields they have, is read from the protobuf
descriptors: what is added is tested from its first day. Whether Temporal refuses what
is refused here, and with which text, other tests say.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio

from dbosify.api.enums.v1 import EventType, IndexedValueType
from dbosify.api.nexus.v1 import EndpointSpec
from dbosify.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    CreateNexusEndpointRequest,
)
from dbosify.client import Client, WorkflowExecutionStatus, WorkflowHandle
from dbosify.service import RPCError
from tests.unit.hostile.bare_worker import END, bare_worker
from tests.unit.hostile.commands import ENDPOINT, KEYWORD, hostile, kinds, plain
from tests.waiting import eventually

AT_ONCE = 120
"""Runs, so that bad turns are written together with others."""
PATIENCE = 30.0
HAS_TRIED = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
)
OUR_FAULT = logging.ERROR
"""What the log of a process says that is at odds with its database, or itself."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ground(own_database: str) -> AsyncIterator[Client]:
    """A client of a database in which what commands name is there."""
    client = await Client.connect(own_database)
    endpoint = EndpointSpec(name=ENDPOINT)
    endpoint.target.worker.namespace = client.namespace
    endpoint.target.worker.task_queue = "queue of nobody"
    await client.operator_service.create_nexus_endpoint(
        CreateNexusEndpointRequest(spec=endpoint)
    )
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=client.namespace,
            search_attributes={KEYWORD: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD},
        )
    )
    yield client
    await client.close()


async def tried(handle: WorkflowHandle[None, None]) -> bool:
    """Wait until the first task of a run is over; whether it was completed."""

    async def outcome() -> bool:
        events = (await handle.fetch_history()).events
        ends = [event.event_type for event in events if event.event_type in HAS_TRIED]
        assert ends
        return ends[0] == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED

    return await eventually(outcome, patience=PATIENCE)


async def ended(handle: WorkflowHandle[None, None]) -> None:
    """Wait until a run is closed; others of its chain may go on."""

    async def closed() -> None:
        described = await handle.describe()
        assert described.status != WorkflowExecutionStatus.RUNNING

    await eventually(closed, patience=PATIENCE)


@pytest.mark.parametrize("kind", kinds())
async def test_no_command_breaks_a_turn(
    ground: Client, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    cases = {f"{kind}-plain": plain(kind)}
    cases |= {bad.what: bad.commands for bad in hostile(kind)}
    names = {f"{kind}-{number}": what for number, what in enumerate(cases)}
    commands = {name: cases[what] for name, what in names.items()}
    broken: dict[str, str] = {}
    room = asyncio.Semaphore(AT_ONCE)

    async def drive(workflow_id: str, what: str) -> None:
        async with room:
            begun = await ground.start_workflow("any", id=workflow_id, task_queue=kind)
            handle: WorkflowHandle[None, None] = ground.get_workflow_handle(
                workflow_id, run_id=begun.first_execution_run_id
            )
            try:
                if await tried(handle):
                    await _end(begun)
                await ended(handle)
            except AssertionError:
                broken[what] = "it never ended"

    async with bare_worker(ground, kind, commands):
        await asyncio.gather(*(drive(name, what) for name, what in names.items()))
    errors = [each.getMessage() for each in caplog.records if each.levelno >= OUR_FAULT]
    assert not errors, "\n".join(message[:300] for message in errors)
    assert not broken, "\n".join(f"{what} -> {said}" for what, said in broken.items())


async def _end(handle: WorkflowHandle[Any, Any]) -> None:
    """Ask a run to end; it may have ended by its command."""
    with suppress(RPCError):
        await handle.signal(END)
