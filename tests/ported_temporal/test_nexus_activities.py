"""Nexus operations with an activity behind them, which needs no workflow either."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import activity, nexus, workflow
from dbosify.api.workflowservice.v1 import DescribeActivityExecutionRequest
from dbosify.client import (
    ActivityExecutionStatus,
    Client,
    NexusClient,
    NexusOperationFailureError,
)
from dbosify.common import (
    NexusOperationExecutionStatus,
    PendingNexusOperationExecutionState,
    RetryPolicy,
)
from dbosify.exceptions import ApplicationError
from tests.ported_temporal.nexus_calls import served
from tests.ported_temporal.scaffold import assert_eventually

pytestmark = pytest.mark.needs("nexus operations", "standalone activities")

PATIENCE = timedelta(seconds=30)
ONE_ONLY = "Only one async operation can be started per operation handler invocation"


@activity.defn
async def echo(text: str) -> str:
    """Gives back what it gets."""
    return text


@activity.defn
async def fail(text: str) -> str:
    """Fails."""
    raise ApplicationError(text, type="Oh")


@activity.defn
async def beat(text: str) -> str:
    """Lives until it is asked to end."""
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.05)


@workflow.defn
class Echoes:
    """Gives back what it gets."""

    @workflow.run
    async def run(self, text: str) -> str:
        """Echo."""
        return text


def behind(request_id: str) -> str:
    """The id of the activity behind an operation."""
    return f"behind-{request_id}"


class Cancels(nexus.TemporalOperationHandler[str, str]):
    """Has its own way to cancel."""

    asked: list[str] = []  # noqa: RUF012 - what the test looks at

    async def start_operation(
        self,
        ctx: nexus.TemporalStartOperationContext,
        client: nexus.TemporalNexusClient,
        input: str,  # noqa: A002 - the SDK's name
    ) -> nexus.TemporalOperationResult[str]:
        """With an activity."""
        return await client.start_activity(
            beat,
            input,
            id=behind(ctx.request_id),
            start_to_close_timeout=PATIENCE,
            heartbeat_timeout=timedelta(seconds=2),
        )

    async def cancel_activity(
        self,
        ctx: nexus.TemporalCancelOperationContext,
        options: nexus.CancelActivityOptions,
    ) -> None:
        """Note it first."""
        self.asked.append(options.activity_id)
        await super().cancel_activity(ctx, options)


@nexusrpc.service
class Service:
    """What clients call."""

    echo: nexusrpc.Operation[str, str]
    fail: nexusrpc.Operation[str, str]
    beat: nexusrpc.Operation[str, str]
    twice: nexusrpc.Operation[str, str]
    mixed: nexusrpc.Operation[str, str]
    customized: nexusrpc.Operation[str, str]


@nexusrpc.handler.service_handler(service=Service)
class Handler:
    """Has activities behind it."""

    @nexus.temporal_operation
    async def echo(
        self,
        ctx: nexus.TemporalStartOperationContext,
        client: nexus.TemporalNexusClient,
        text: str,
    ) -> nexus.TemporalOperationResult[str]:
        """Echo."""
        return await client.start_activity(
            echo, text, id=behind(ctx.request_id), start_to_close_timeout=PATIENCE
        )

    @nexus.temporal_operation
    async def fail(
        self,
        ctx: nexus.TemporalStartOperationContext,
        client: nexus.TemporalNexusClient,
        text: str,
    ) -> nexus.TemporalOperationResult[str]:
        """Fail."""
        return await client.start_activity(
            fail,
            text,
            id=behind(ctx.request_id),
            start_to_close_timeout=PATIENCE,
            retry_policy=RetryPolicy(maximum_attempts=1),
        )

    @nexus.temporal_operation
    async def beat(
        self,
        ctx: nexus.TemporalStartOperationContext,
        client: nexus.TemporalNexusClient,
        text: str,
    ) -> nexus.TemporalOperationResult[str]:
        """Live on."""
        return await client.start_activity(
            beat,
            text,
            id=behind(ctx.request_id),
            start_to_close_timeout=PATIENCE,
            heartbeat_timeout=timedelta(seconds=2),
        )

    @nexus.temporal_operation
    async def twice(
        self,
        ctx: nexus.TemporalStartOperationContext,
        client: nexus.TemporalNexusClient,
        text: str,
    ) -> nexus.TemporalOperationResult[str]:
        """Two activities; the first would end the operation if anybody did it."""
        await client.start_activity(
            echo,
            text,
            id=behind(ctx.request_id),
            task_queue=new_id(),
            start_to_close_timeout=PATIENCE,
        )
        return await client.start_activity(
            echo, text, id=behind("other"), start_to_close_timeout=PATIENCE
        )

    @nexus.temporal_operation
    async def mixed(
        self,
        ctx: nexus.TemporalStartOperationContext,
        client: nexus.TemporalNexusClient,
        text: str,
    ) -> nexus.TemporalOperationResult[str]:
        """A workflow, which would end the operation if anybody did it; an activity."""
        await client.start_workflow(
            Echoes.run, text, id=behind(ctx.request_id), task_queue=new_id()
        )
        return await client.start_activity(
            echo, text, id=behind(ctx.request_id), start_to_close_timeout=PATIENCE
        )

    @nexusrpc.handler.operation_handler
    def customized(self) -> nexusrpc.handler.OperationHandler[str, str]:
        """With its own way to cancel."""
        return Cancels()


@asynccontextmanager
async def serving(client: Client) -> AsyncIterator[NexusClient[Service]]:
    """A client of the service, while a worker serves it."""
    async with served(
        client, Handler(), workflows=(Echoes,), activities=[echo, fail, beat]
    ) as (_, endpoint):
        yield client.create_nexus_client(Service, endpoint=endpoint)


def new_id() -> str:
    """An operation's id that no other test uses."""
    return f"operation-{uuid.uuid4()}"


async def failure_of(
    nexus_client: NexusClient[Service], operation: nexusrpc.Operation[str, str]
) -> BaseException | None:
    """Why an operation failed."""
    with pytest.raises(NexusOperationFailureError) as raised:
        await nexus_client.execute_operation(
            operation, "test", id=new_id(), schedule_to_close_timeout=PATIENCE
        )
    return raised.value.cause


async def test_temporal_operation_start_activity(client: Client) -> None:
    async with serving(client) as nexus_client:
        result = await nexus_client.execute_operation(
            Service.echo, "test", id=new_id(), schedule_to_close_timeout=PATIENCE
        )
        assert result == "test"


async def test_temporal_operation_start_activity_raises_error(client: Client) -> None:
    async with serving(client) as nexus_client:
        cause = await failure_of(nexus_client, Service.fail)
        while isinstance(cause, ApplicationError) and cause.type == "OperationError":
            cause = cause.cause  # Some servers wrap what the activity says.
        assert isinstance(cause, ApplicationError)
        assert (cause.type, cause.message) == ("Oh", "test")
        assert cause.cause is None


@pytest.mark.parametrize("which", ["beat", "customized"])
async def test_temporal_operation_cancel_activity(client: Client, which: str) -> None:
    async with serving(client) as nexus_client:
        handle = await nexus_client.start_operation(
            getattr(Service, which),
            "test",
            id=new_id(),
            schedule_to_close_timeout=PATIENCE,
        )
        activity_id = behind((await handle.describe()).request_id)

        async def begun() -> None:
            seen = await handle.describe()
            assert seen.state == PendingNexusOperationExecutionState.STARTED

        await assert_eventually(begun)

        async def beats() -> None:
            seen = await client.get_activity_handle(activity_id).describe()
            assert seen.last_heartbeat_time is not None

        await assert_eventually(beats)
        await handle.cancel()

        async def canceled() -> None:
            seen = await handle.describe()
            assert seen.status == NexusOperationExecutionStatus.CANCELED
            found = await client.get_activity_handle(activity_id).describe()
            assert found.status == ActivityExecutionStatus.CANCELED

        await assert_eventually(canceled)
        assert (activity_id in Cancels.asked) == (which == "customized")


@pytest.mark.parametrize("which", ["twice", "mixed"])
async def test_a_handler_begins_one_thing_only(client: Client, which: str) -> None:
    async with serving(client) as nexus_client:
        cause = await failure_of(nexus_client, getattr(Service, which))
        assert isinstance(cause, nexusrpc.HandlerError)
        assert cause.type == nexusrpc.HandlerErrorType.BAD_REQUEST
        assert ONE_ONLY in str(cause)


async def test_temporal_operation_backing_activity_does_not_duplicate_links(
    client: Client,
) -> None:
    async with serving(client) as nexus_client:
        handle = await nexus_client.start_operation(
            Service.echo, "test", id=new_id(), schedule_to_close_timeout=PATIENCE
        )
        assert await handle.result() == "test"
        seen = await handle.describe()
        described = await client.workflow_service.describe_activity_execution(
            DescribeActivityExecutionRequest(
                namespace=client.namespace, activity_id=behind(seen.request_id)
            )
        )
        callbacks = [shown.info.callback for shown in described.callbacks]
        (link,) = [
            *described.info.links,
            *(link for callback in callbacks for link in callback.links),
        ]
        assert link.nexus_operation.namespace == client.namespace
        assert link.nexus_operation.operation_id == handle.operation_id
        assert link.nexus_operation.run_id == handle.run_id
        # The callback knows the operation by a token that names the activity, while
        # the operation's own token names its run as well.
        (callback,) = callbacks
        assert callback.nexus.header["nexus-operation-token"]
        (back,) = seen.raw_description.links
        assert back.activity.activity_id == behind(seen.request_id)
