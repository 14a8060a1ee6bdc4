"""Nexus operations that clients start, without a workflow that asks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import nexus, workflow
from dbosify.api.common.v1 import Link
from dbosify.client import (
    Client,
    NexusClient,
    NexusOperationFailureError,
    NexusOperationHandle,
)
from dbosify.common import (
    NexusOperationExecutionStatus,
    NexusOperationIDConflictPolicy,
    NexusOperationIDReusePolicy,
    PendingNexusOperationExecutionState,
)
from dbosify.exceptions import (
    ApplicationError,
    CancelledError,
    NexusOperationAlreadyStartedError,
    TerminatedError,
)
from tests.ported_temporal.nexus_calls import served
from tests.ported_temporal.scaffold import assert_eventually, events_of, random_id

pytestmark = pytest.mark.needs("nexus operations")

STARTED = PendingNexusOperationExecutionState.STARTED
SOON = timedelta(seconds=30)


@dataclass
class Text:
    """What is sent, and sent back."""

    text: str


@nexusrpc.service(name="EchoService")
class Echo:
    """Sends back what it gets."""

    at_once: nexusrpc.Operation[Text, Text]
    by_workflow: nexusrpc.Operation[Text, Text]
    blocked: nexusrpc.Operation[str, str]
    failing: nexusrpc.Operation[str, str]


@nexusrpc.service(name="EchoService")
class Named:
    """Another class for a service of the same name."""

    at_once: nexusrpc.Operation[Text, Text]


@workflow.defn
class Repeats:
    """Gives back its argument."""

    @workflow.run
    async def run(self, said: Text) -> Text:
        """Repeat."""
        return said


@workflow.defn
class Blocked:
    """Gives its answer once it is let go."""

    def __init__(self) -> None:
        """Still held."""
        self._let_go = False

    @workflow.run
    async def run(self, answer: str) -> str:
        """Wait."""
        await workflow.wait_condition(lambda: self._let_go)
        return answer

    @workflow.update
    def let_go(self) -> None:
        """Let it go."""
        self._let_go = True


@nexusrpc.handler.service_handler(service=Echo)
class EchoHandler:
    """Its handler."""

    @nexusrpc.handler.sync_operation
    async def at_once(
        self, ctx: nexusrpc.handler.StartOperationContext, said: Text
    ) -> Text:
        """Answer at once."""
        return said

    @nexus.workflow_run_operation
    async def by_workflow(
        self, ctx: nexus.WorkflowRunOperationContext, said: Text
    ) -> nexus.WorkflowHandle[Text]:
        """Have a workflow answer."""
        return await ctx.start_workflow(Repeats.run, said, id=random_id("repeats"))

    @nexus.workflow_run_operation
    async def blocked(
        self, ctx: nexus.WorkflowRunOperationContext, workflow_id: str
    ) -> nexus.WorkflowHandle[str]:
        """Have a workflow answer when it is told to."""
        return await ctx.start_workflow(Blocked.run, "let go", id=workflow_id)

    @nexusrpc.handler.sync_operation
    async def failing(
        self, ctx: nexusrpc.handler.StartOperationContext, how: str
    ) -> str:
        """Fail."""
        if how == "handler":
            raise nexusrpc.HandlerError(
                "on purpose",
                type=nexusrpc.HandlerErrorType.INTERNAL,
                retryable_override=False,
            )
        raise ApplicationError("on purpose", non_retryable=True)


@asynccontextmanager
async def echoes(client: Client) -> AsyncIterator[tuple[NexusClient[Echo], str]]:
    """A client of the service, and the endpoint that leads to it."""
    async with served(client, EchoHandler(), workflows=(Repeats, Blocked)) as (
        _,
        endpoint,
    ):
        yield client.create_nexus_client(service=Echo, endpoint=endpoint), endpoint


async def start_blocked(
    calls: NexusClient[Echo], workflow_id: str, **options: Any
) -> NexusOperationHandle[str]:
    """Start an operation whose workflow waits."""
    return await calls.start_operation(
        Echo.blocked,
        workflow_id,
        id=options.pop("id", None) or random_id("operation"),
        schedule_to_close_timeout=SOON,
        **options,
    )


async def has_begun(handle: NexusOperationHandle[Any]) -> None:
    """Wait until the handler has answered, so that there is a workflow behind it."""

    async def begun() -> None:
        assert (await handle.describe()).state == STARTED

    await assert_eventually(begun)


async def failure_of(handle: NexusOperationHandle[Any]) -> BaseException | None:
    """Why an operation failed."""
    with pytest.raises(NexusOperationFailureError) as failed:
        await handle.result()
    with pytest.raises(NexusOperationFailureError) as again:
        await handle.result()
    assert again.value is failed.value
    return failed.value.__cause__


async def test_start_sync_operation_and_get_result(client: Client) -> None:
    async with echoes(client) as (calls, _):
        handle = await calls.start_operation(
            Echo.at_once,
            Text("hello"),
            id=random_id("operation"),
            schedule_to_close_timeout=SOON,
        )
        answer = await handle.result()
        assert answer == Text("hello")
        assert await handle.result() is answer


async def test_start_async_operation_and_poll_result(client: Client) -> None:
    async with echoes(client) as (calls, _):
        handle = await calls.start_operation(
            Echo.by_workflow,
            Text("hello"),
            id=random_id("operation"),
            schedule_to_close_timeout=SOON,
        )
        assert await handle.result() == Text("hello")


async def test_started_workflow_has_link_to_standalone_nexus_operation(
    client: Client,
) -> None:
    workflow_id = random_id("blocked")
    async with echoes(client) as (calls, _):
        handle = await start_blocked(calls, workflow_id)
        await has_begun(handle)
        behind = client.get_workflow_handle(workflow_id)

        async def both_are_linked() -> None:
            first = (await events_of(behind))[0]
            to_operation = Link(
                nexus_operation=Link.NexusOperation(
                    namespace=client.namespace,
                    operation_id=handle.operation_id,
                    run_id=handle.run_id or "",
                )
            )
            attributes = first.workflow_execution_started_event_attributes
            callbacks = attributes.completion_callbacks
            links = [*first.links, *(ln for each in callbacks for ln in each.links)]
            assert to_operation in links
            described = await handle.describe()
            (link,) = described.raw_info.links  # type: ignore[union-attr]
            assert link.workflow_event.workflow_id == workflow_id

        await assert_eventually(both_are_linked)
        await behind.execute_update(Blocked.let_go)
        assert await handle.result() == "let go"


async def test_execute_operation(client: Client) -> None:
    async with echoes(client) as (calls, _):
        answer = await calls.execute_operation(
            Echo.at_once,
            Text("hello"),
            id=random_id("operation"),
            id_reuse_policy=NexusOperationIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=NexusOperationIDConflictPolicy.FAIL,
            schedule_to_close_timeout=timedelta(seconds=10),
        )
        assert answer == Text("hello")


async def test_execute_operation_named_service(client: Client) -> None:
    async with echoes(client) as (_, endpoint):
        calls = client.create_nexus_client(service=Named, endpoint=endpoint)
        answer = await calls.execute_operation(
            Named.at_once,
            Text("hello"),
            id=random_id("operation"),
            schedule_to_close_timeout=SOON,
        )
        assert answer == Text("hello")


@pytest.mark.parametrize("how", ["handler", "application"])
async def test_errors(client: Client, how: str) -> None:
    async with echoes(client) as (calls, _):
        handle = await calls.start_operation(
            Echo.failing,
            how,
            id=random_id("operation"),
            schedule_to_close_timeout=SOON,
        )
        cause = await failure_of(handle)
        assert isinstance(cause, nexusrpc.HandlerError)
        assert cause.type is nexusrpc.HandlerErrorType.INTERNAL
        if how == "application":
            assert isinstance(cause.__cause__, ApplicationError)
            assert cause.__cause__.message == "on purpose"


async def test_describe_operation(client: Client) -> None:
    async with echoes(client) as (calls, endpoint):
        handle = await calls.start_operation(
            Echo.at_once,
            Text("hello"),
            id=random_id("operation"),
            schedule_to_close_timeout=SOON,
            summary="an echo",
        )
        await handle.result()
        described = await handle.describe()
    assert described.operation_id == handle.operation_id
    assert (described.endpoint, described.service) == (endpoint, "EchoService")
    assert described.operation == "at_once"
    assert described.status is NexusOperationExecutionStatus.COMPLETED
    assert not described.state
    assert described.attempt >= 1
    assert described.blocked_reason is None
    assert described.last_attempt_failure is None
    assert await described.static_summary() == "an echo"


async def test_cancel_operation(client: Client) -> None:
    async with echoes(client) as (calls, _):
        handle = await start_blocked(calls, random_id("blocked"))
        await handle.cancel()
        assert isinstance(await failure_of(handle), CancelledError)
        described = await handle.describe()
    assert described.status is NexusOperationExecutionStatus.CANCELED


async def test_terminate_operation(client: Client) -> None:
    async with echoes(client) as (calls, _):
        handle = await start_blocked(calls, random_id("blocked"))
        await handle.terminate(reason="enough")
        cause = await failure_of(handle)
        assert isinstance(cause, TerminatedError)
        assert cause.message == "enough"
        described = await handle.describe()
    assert described.status is NexusOperationExecutionStatus.TERMINATED


async def test_list_operations(client: Client) -> None:
    async with echoes(client) as (calls, endpoint):
        handles = [await start_blocked(calls, random_id("blocked")) for _ in range(3)]

        async def all_are_listed() -> None:
            listed = client.list_nexus_operations(f'Endpoint = "{endpoint}"')
            found = {each.operation_id async for each in listed}
            assert found == {handle.operation_id for handle in handles}

        await assert_eventually(all_are_listed)
        for handle in handles:
            await handle.terminate()


async def test_count_operations(client: Client) -> None:
    async with echoes(client) as (calls, endpoint):
        handles = [await start_blocked(calls, random_id("blocked")) for _ in range(2)]

        async def all_are_counted() -> None:
            query = f'Endpoint = "{endpoint}"'
            assert (await client.count_nexus_operations(query)).count == 2
            query = f"{query} GROUP BY ExecutionStatus"
            counted = await client.count_nexus_operations(query)
            (group,) = counted.groups
            assert (group.group_values, group.count) == (["Running"], 2)

        await assert_eventually(all_are_counted)
        for handle in handles:
            await handle.terminate()


async def test_get_nexus_operation_handle(client: Client) -> None:
    async with echoes(client) as (calls, _):
        handle = await calls.start_operation(
            Echo.by_workflow,
            Text("hello"),
            id=random_id("operation"),
            schedule_to_close_timeout=SOON,
        )
        assert await handle.result() == Text("hello")
        again = client.get_nexus_operation_handle(
            handle.operation_id, operation=Echo.by_workflow
        )
        assert await again.result() == Text("hello")


async def test_id_conflict_policy_use_existing(client: Client) -> None:
    workflow_id = random_id("blocked")
    async with echoes(client) as (calls, _):
        first = await start_blocked(calls, workflow_id)
        second = await start_blocked(
            calls,
            workflow_id,
            id=first.operation_id,
            id_conflict_policy=NexusOperationIDConflictPolicy.USE_EXISTING,
        )
        assert second.operation_id == first.operation_id
        assert second.run_id == first.run_id
        await has_begun(first)
        behind = client.get_workflow_handle(workflow_id)
        await behind.execute_update(Blocked.let_go)
        assert await first.result() == await second.result() == "let go"


async def test_id_conflict_policy_fail(client: Client) -> None:
    async with echoes(client) as (calls, _):
        handle = await start_blocked(calls, random_id("blocked"))
        with pytest.raises(NexusOperationAlreadyStartedError) as refused:
            await start_blocked(
                calls,
                random_id("blocked"),
                id=handle.operation_id,
                id_conflict_policy=NexusOperationIDConflictPolicy.FAIL,
            )
        assert refused.value.run_id == handle.run_id
        await handle.terminate()
