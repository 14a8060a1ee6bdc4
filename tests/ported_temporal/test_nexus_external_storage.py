"""Inputs and results of Nexus operations that are kept elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import workflow
from dbosify.api.common.v1 import Payload
from dbosify.client import Client, WorkflowFailureError
from dbosify.converter import (
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)
from dbosify.exceptions import ApplicationError, NexusOperationError
from dbosify.worker import UnsandboxedWorkflowRunner
from tests.ported_temporal.nexus_calls import served
from tests.ported_temporal.scaffold import random_id
from tests.ported_temporal.storing import InMemoryDriver, with_storage

pytestmark = pytest.mark.needs("nexus operations")

BIG = 4096


@nexusrpc.service
class Sizes:
    """Takes or gives something big."""

    length_of: nexusrpc.Operation[str, int]
    of_length: nexusrpc.Operation[int, str]


@nexusrpc.handler.service_handler(service=Sizes)
class SizesHandler:
    """Its handler."""

    @nexusrpc.handler.sync_operation
    async def length_of(
        self, _ctx: nexusrpc.handler.StartOperationContext, text: str
    ) -> int:
        """How much has come."""
        return len(text)

    @nexusrpc.handler.sync_operation
    async def of_length(
        self, _ctx: nexusrpc.handler.StartOperationContext, size: int
    ) -> str:
        """So much."""
        return "x" * size


@workflow.defn(sandboxed=False)
class SendsMuch:
    """Calls with a big input."""

    @workflow.run
    async def run(self, endpoint: str) -> int:
        """Give the length that arrived."""
        client = workflow.create_nexus_client(service=Sizes, endpoint=endpoint)
        return await client.execute_operation(Sizes.length_of, "x" * BIG)


@workflow.defn(sandboxed=False)
class GetsMuch:
    """Calls for a big result."""

    @workflow.run
    async def run(self, endpoint: str) -> int:
        """Give the length that came back."""
        client = workflow.create_nexus_client(service=Sizes, endpoint=endpoint)
        return len(await client.execute_operation(Sizes.of_length, BIG))


class StumblingDriver(InMemoryDriver):
    """Fails in its first call of a kind."""

    def __init__(self, kind: str, error: Exception) -> None:
        super().__init__()
        self._stumbles: dict[str, Exception] = {kind: error}
        self.attempts = {"store": 0, "retrieve": 0}

    def _attempt(self, kind: str) -> None:
        self.attempts[kind] += 1
        error = self._stumbles.pop(kind, None)
        if error is not None:
            raise error

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Store, but not at first."""
        self._attempt("store")
        return await super().store(context, payloads)

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,
        claims: Sequence[StorageDriverClaim],
    ) -> list[Payload]:
        """Retrieve, but not at first."""
        self._attempt("retrieve")
        return await super().retrieve(context, claims)


async def called(client: Client, driver: InMemoryDriver, caller: type) -> int:
    """What the caller gives, with that driver on both sides."""
    storing = with_storage(client, driver)
    async with served(
        storing,
        SizesHandler(),
        workflows=(caller,),
        workflow_runner=UnsandboxedWorkflowRunner(),
    ) as (worker, endpoint):
        return int(
            await storing.execute_workflow(
                caller.__name__,
                endpoint,
                id=random_id(),
                task_queue=worker.task_queue,
                result_type=int,
            )
        )


async def test_nexus_operation_input_offloaded_and_retrieved(client: Client) -> None:
    driver = InMemoryDriver()
    assert await called(client, driver, SendsMuch) == BIG
    assert driver.store_calls >= 1
    assert driver.retrieve_calls >= 1


async def test_nexus_operation_sync_result_offloaded_and_retrieved(
    client: Client,
) -> None:
    driver = InMemoryDriver()
    assert await called(client, driver, GetsMuch) == BIG
    assert driver.store_calls >= 1
    assert driver.retrieve_calls >= 1


async def test_nexus_operation_transient_retrieve_failure_recovers(
    client: Client,
) -> None:
    driver = StumblingDriver("retrieve", RuntimeError("not now"))
    assert await called(client, driver, SendsMuch) == BIG
    assert driver.attempts["retrieve"] >= 2


async def test_nexus_operation_transient_store_failure_recovers(
    client: Client,
) -> None:
    driver = StumblingDriver("store", RuntimeError("not now"))
    assert await called(client, driver, GetsMuch) == BIG
    assert driver.attempts["store"] >= 2


async def test_nexus_operation_store_failure_fails_operation(client: Client) -> None:
    driver = StumblingDriver("store", ApplicationError("disk full", non_retryable=True))
    with pytest.raises(WorkflowFailureError) as failed:
        await called(client, driver, GetsMuch)
    of_operation = failed.value.cause
    assert isinstance(of_operation, NexusOperationError)
    of_handler = of_operation.cause
    assert isinstance(of_handler, nexusrpc.HandlerError)
    cause = of_handler.__cause__
    assert isinstance(cause, ApplicationError)
    assert cause.message == "disk full"
