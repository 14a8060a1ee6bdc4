"""Workers with Nexus handlers that shut down while a handler is at work."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import nexus, workflow
from dbosify.client import Client
from tests.ported_temporal.nexus_calls import endpoint_for
from tests.ported_temporal.scaffold import new_worker, random_id

pytestmark = pytest.mark.needs("nexus operations")


@nexusrpc.service
class Slow:
    """Operations that end with their worker."""

    until_cancelled: nexusrpc.Operation[None, str]
    until_shutdown: nexusrpc.Operation[None, str]
    in_thread: nexusrpc.Operation[None, str]
    tells: nexusrpc.Operation[None, str]


@nexusrpc.handler.service_handler(service=Slow)
class SlowHandler:
    """Its handler."""

    def __init__(self) -> None:
        """Nothing has begun."""
        self.begun = threading.Event()
        self.notes: list[bool] = []

    @nexusrpc.handler.sync_operation
    async def until_cancelled(
        self, ctx: nexusrpc.handler.StartOperationContext, _: None
    ) -> str:
        """Wait to be cancelled."""
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "Properly cancelled"
        return "never"

    @nexusrpc.handler.sync_operation
    async def until_shutdown(
        self, ctx: nexusrpc.handler.StartOperationContext, _: None
    ) -> str:
        """Wait for the worker's end."""
        self.begun.set()
        await nexus.wait_for_worker_shutdown()
        return "Worker graceful shutdown"

    @nexusrpc.handler.sync_operation
    def in_thread(self, ctx: nexusrpc.handler.StartOperationContext, _: None) -> str:
        """Wait for it in a thread."""
        self.begun.set()
        nexus.wait_for_worker_shutdown_sync(30)
        return "Worker graceful shutdown sync"

    @nexusrpc.handler.sync_operation
    async def tells(self, ctx: nexusrpc.handler.StartOperationContext, _: None) -> str:
        """Note whether the worker shuts down, before and after."""
        self.notes.append(nexus.is_worker_shutdown())
        self.begun.set()
        await nexus.wait_for_worker_shutdown()
        self.notes.append(nexus.is_worker_shutdown())
        return "done"


@workflow.defn
class Calls:
    """Calls an operation by name."""

    @workflow.run
    async def run(self, endpoint: str, operation: str) -> str:
        """Call it."""
        client = workflow.create_nexus_client(service="Slow", endpoint=endpoint)
        return await client.execute_operation(operation, None, output_type=str)


async def _result(
    client: Client, handler: SlowHandler, operation: str, grace: float
) -> str:
    """What a call gives whose worker shuts down once the handler has begun."""
    caller = new_worker(client, Calls)
    server = new_worker(
        client,
        nexus_service_handlers=[handler],
        nexus_task_executor=ThreadPoolExecutor(1),
        graceful_shutdown_timeout=timedelta(seconds=grace),
    )
    async with endpoint_for(client, server.task_queue) as endpoint, caller:
        async with server:
            handle = await client.start_workflow(
                Calls.run,
                args=[endpoint, operation],
                id=random_id(),
                task_queue=caller.task_queue,
            )
            assert await asyncio.to_thread(handler.begun.wait, 10)
        return await handle.result()


async def test_nexus_worker_shutdown(client: Client) -> None:
    result = await _result(client, SlowHandler(), "until_cancelled", 0)
    assert result == "Properly cancelled"


async def test_nexus_worker_shutdown_graceful(client: Client) -> None:
    result = await _result(client, SlowHandler(), "until_shutdown", 5)
    assert result == "Worker graceful shutdown"


async def test_sync_nexus_operation_worker_shutdown_graceful(client: Client) -> None:
    result = await _result(client, SlowHandler(), "in_thread", 5)
    assert result == "Worker graceful shutdown sync"


async def test_is_worker_shutdown(client: Client) -> None:
    handler = SlowHandler()
    assert await _result(client, handler, "tells", 5) == "done"
    assert handler.notes == [False, True]
