"""Operations in every style of handler, and the tokens by which callbacks know them."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import nexusrpc
import nexusrpc.handler
import pytest
from nexusrpc.handler._core import ServiceHandler

from dbosify import activity, nexus, workflow
from dbosify.api.common.v1 import Callback
from dbosify.api.workflowservice.v1 import DescribeActivityExecutionRequest
from dbosify.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from dbosify.common import (
    NexusOperationExecutionStatus,
    PendingNexusOperationExecutionState,
)
from dbosify.exceptions import NexusOperationError
from dbosify.service import RPCError, RPCStatusCode
from tests.ported_temporal.nexus_calls import served
from tests.ported_temporal.scaffold import assert_eventually, random_id

pytestmark = pytest.mark.needs("nexus operations")

PATIENCE = timedelta(seconds=20)


@activity.defn
async def shout(text: str) -> str:
    """Loudly."""
    return text.upper()


@workflow.defn
class Says:
    """Says what it is told."""

    @workflow.run
    async def run(self, text: str) -> str:
        """Say it."""
        return text


@workflow.defn
class Waits:
    """Waits for ever."""

    @workflow.run
    async def run(self, text: str) -> str:
        """Wait."""
        await workflow.wait_condition(lambda: False)
        return text


@workflow.defn
class Increments:
    """Adds one."""

    @workflow.run
    async def run(self, number: int) -> int:
        """Add."""
        return number + 1


class CancelsInItsWay(nexus.TemporalOperationHandler[str, str]):
    """Has its own way to cancel."""

    asked: list[str] = []  # noqa: RUF012 - what the test looks at

    async def start_operation(
        self,
        ctx: nexus.TemporalStartOperationContext,
        client: nexus.TemporalNexusClient,
        input: str,  # noqa: A002 - the SDK's name
    ) -> nexus.TemporalOperationResult[str]:
        """With a workflow of the id that it is given."""
        return await client.start_workflow(Waits.run, input, id=input)

    async def cancel_workflow_run(
        self,
        ctx: nexus.TemporalCancelOperationContext,
        options: nexus.CancelWorkflowRunOptions,
    ) -> None:
        """Note it first."""
        self.asked.append(options.workflow_id)
        await super().cancel_workflow_run(ctx, options)


@nexusrpc.service
class Voice:
    """Each operation takes the id of what stands behind it."""

    by_run: nexusrpc.Operation[str, str]
    by_client: nexusrpc.Operation[str, str]
    by_activity: nexusrpc.Operation[str, str]
    customized: nexusrpc.Operation[str, str]


@nexusrpc.handler.service_handler(service=Voice)
class VoiceHandler:
    """Its handler."""

    @nexus.workflow_run_operation
    async def by_run(
        self, ctx: nexus.WorkflowRunOperationContext, wid: str
    ) -> nexus.WorkflowHandle[str]:
        """A workflow."""
        return await ctx.start_workflow(Says.run, wid, id=wid)

    @nexus.temporal_operation
    async def by_client(
        self,
        ctx: nexus.TemporalStartOperationContext,
        client: nexus.TemporalNexusClient,
        wid: str,
    ) -> nexus.TemporalOperationResult[str]:
        """A workflow."""
        return await client.start_workflow(Says.run, wid, id=wid)

    @nexus.temporal_operation
    async def by_activity(
        self,
        ctx: nexus.TemporalStartOperationContext,
        client: nexus.TemporalNexusClient,
        aid: str,
    ) -> nexus.TemporalOperationResult[str]:
        """An activity."""
        return await client.start_activity(
            shout, aid, id=aid, start_to_close_timeout=PATIENCE
        )

    @nexusrpc.handler.operation_handler
    def customized(self) -> nexusrpc.handler.OperationHandler[str, str]:
        """A workflow that is cancelled in a way of its own."""
        return CancelsInItsWay()


@workflow.defn
class Calls:
    """Calls one operation."""

    @workflow.run
    async def run(self, endpoint: str, operation: str, behind: str) -> str:
        """Call it."""
        client = workflow.create_nexus_client(service=Voice, endpoint=endpoint)
        return await client.execute_operation(getattr(Voice, operation), behind)


async def called(client: Client, operation: str) -> str:
    """Call an operation from a workflow; the id of what was behind it."""
    behind = random_id()
    async with served(
        client, VoiceHandler(), workflows=(Says, Calls), activities=[shout]
    ) as (worker, endpoint):
        result = await client.execute_workflow(
            Calls.run,
            args=[endpoint, operation, behind],
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert result.lower() == behind.lower()
    return behind


def token_of(callback: Callback) -> dict[str, Any]:
    """What the token says by which the caller knows the operation."""
    token = callback.nexus.header["nexus-operation-token"]
    padded = token + "=" * (-len(token) % 4)
    known = json.loads(base64.urlsafe_b64decode(padded))
    assert isinstance(known, dict)
    return known


@pytest.mark.parametrize("operation", ["by_run", "by_client"])
async def test_a_workflows_callback_has_the_operations_token(
    client: Client, operation: str
) -> None:
    behind = await called(client, operation)
    seen = await client.get_workflow_handle(behind).describe()
    callback = seen.raw_description.callbacks[0].callback
    assert token_of(callback) == {"t": 1, "ns": client.namespace, "wid": behind}


async def test_an_activitys_callback_has_the_operations_token(client: Client) -> None:
    behind = await called(client, "by_activity")
    seen = await client.workflow_service.describe_activity_execution(
        DescribeActivityExecutionRequest(namespace=client.namespace, activity_id=behind)
    )
    callback = seen.callbacks[0].info.callback
    assert token_of(callback) == {"t": 2, "ns": client.namespace, "aid": behind}


async def test_customized_temporal_operation_cancel_workflow(client: Client) -> None:
    behind = random_id()
    async with served(client, VoiceHandler(), workflows=(Waits,)) as (_, endpoint):
        nexus_client = client.create_nexus_client(Voice, endpoint=endpoint)
        handle = await nexus_client.start_operation(
            Voice.customized,
            behind,
            id=random_id("operation"),
            schedule_to_close_timeout=PATIENCE,
        )
        workflow_handle = client.get_workflow_handle(behind)

        async def begun() -> None:
            seen = await handle.describe()
            assert seen.state == PendingNexusOperationExecutionState.STARTED

        await assert_eventually(begun)
        await handle.cancel()

        async def canceled() -> None:
            seen = await workflow_handle.describe()
            assert seen.status == WorkflowExecutionStatus.CANCELED
            operation = await handle.describe()
            assert operation.status == NexusOperationExecutionStatus.CANCELED

        await assert_eventually(canceled)
        assert behind in CancelsInItsWay.asked


class Increment(nexusrpc.handler.OperationHandler[int, int]):
    """Starts a workflow by hand."""

    async def start(
        self,
        ctx: nexusrpc.handler.StartOperationContext,
        input: int,  # noqa: A002
    ) -> nexusrpc.handler.StartOperationResultAsync:
        """With a workflow."""
        run_context = nexus.WorkflowRunOperationContext._from_start_operation_context(
            ctx
        )
        handle = await run_context.start_workflow(Increments.run, input, id=random_id())
        return nexusrpc.handler.StartOperationResultAsync(handle.to_token())

    async def cancel(
        self, ctx: nexusrpc.handler.CancelOperationContext, token: str
    ) -> None:
        """Nobody does."""
        raise AssertionError


def made_in_code() -> ServiceHandler:
    """A service that no class stands for."""
    operation = nexusrpc.OperationDefinition[int, int](
        name="increment", method_name="increment", input_type=int, output_type=int
    )
    return ServiceHandler(
        service=nexusrpc.ServiceDefinition(
            name="Numbers", operation_definitions={"increment": operation}
        ),
        operation_handlers={"increment": Increment()},
    )


@workflow.defn
class CallsByName:
    """Calls an operation by names."""

    @workflow.run
    async def run(self, endpoint: str) -> int:
        """Call it."""
        client = workflow.create_nexus_client(service="Numbers", endpoint=endpoint)
        result = await client.execute_operation("increment", 5, output_type=int)
        return int(result)


async def test_a_service_may_be_made_in_code(client: Client) -> None:
    async with served(client, made_in_code(), workflows=(Increments, CallsByName)) as (
        worker,
        endpoint,
    ):
        assert (
            await client.execute_workflow(
                CallsByName.run, endpoint, id=random_id(), task_queue=worker.task_queue
            )
            == 6
        )


@nexusrpc.service
class Answers:
    """Answers at once."""

    answer: nexusrpc.Operation[bool, str]


def _answer(fails: bool) -> str:
    if fails:
        raise RPCError("told to fail", RPCStatusCode.INVALID_ARGUMENT, b"")
    return "at once"


@nexusrpc.handler.service_handler(service=Answers)
class Decorated:
    """With a decorated method."""

    @nexusrpc.handler.sync_operation
    async def answer(
        self, ctx: nexusrpc.handler.StartOperationContext, fails: bool
    ) -> str:
        """Answer."""
        return _answer(fails)


class AnswerOperation(nexusrpc.handler.OperationHandler[bool, str]):
    """The operation as an object."""

    async def start(
        self,
        ctx: nexusrpc.handler.StartOperationContext,
        input: bool,  # noqa: A002
    ) -> nexusrpc.handler.StartOperationResultSync[str]:
        """Answer."""
        return nexusrpc.handler.StartOperationResultSync(_answer(input))

    async def cancel(
        self, ctx: nexusrpc.handler.CancelOperationContext, token: str
    ) -> None:
        """It is over before anybody can."""
        raise AssertionError


@nexusrpc.handler.service_handler(service=Answers)
class OfObjects:
    """With an operation's handler."""

    @nexusrpc.handler.operation_handler
    def answer(self) -> nexusrpc.handler.OperationHandler[bool, str]:
        """Answer."""
        return AnswerOperation()


@workflow.defn
class Asks:
    """Asks for an answer."""

    @workflow.run
    async def run(self, endpoint: str, fails: bool, cancels: bool, by: str) -> str:
        """Ask."""
        service: Any = {"service": Answers, "decorated": Decorated}.get(by, OfObjects)
        client: Any = workflow.create_nexus_client(service=service, endpoint=endpoint)
        handle = await client.start_operation(service.answer, fails)
        if cancels:
            assert handle.cancel()
        return str(await handle)


@pytest.mark.parametrize("fails", [False, True], ids=["answers", "fails"])
@pytest.mark.parametrize("cancels", [False, True], ids=["awaited", "cancelled"])
@pytest.mark.parametrize(
    ("handler", "by"),
    [
        (Decorated, "service"),
        (Decorated, "decorated"),
        (OfObjects, "service"),
        (OfObjects, "objects"),
    ],
    ids=["decorated", "decorated by class", "objects", "objects by class"],
)
async def test_sync_response(
    client: Client, handler: type, by: str, cancels: bool, fails: bool
) -> None:
    async with served(client, handler(), workflows=(Asks,)) as (worker, endpoint):
        handle = await client.start_workflow(
            Asks.run,
            args=[endpoint, fails, cancels, by],
            id=random_id(),
            task_queue=worker.task_queue,
        )
        if not fails:
            assert await handle.result() == "at once"
            return
        with pytest.raises(WorkflowFailureError) as raised:
            await handle.result()
        error = raised.value.cause
        assert isinstance(error, NexusOperationError)
        assert (error.endpoint, error.service) == (endpoint, "Answers")
        assert error.scheduled_event_id == 5
        assert isinstance(error.cause, nexusrpc.HandlerError)
