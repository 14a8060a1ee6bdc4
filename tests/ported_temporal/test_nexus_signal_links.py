"""Signals that a handler sends: linked to the operation, and the operation to them."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import nexus, workflow
from dbosify.api.common.v1 import Link
from dbosify.api.enums.v1 import EventType
from dbosify.api.history.v1 import HistoryEvent
from dbosify.client import Client
from dbosify.common import WorkflowIDConflictPolicy
from dbosify.service import RPCError
from tests.ported_temporal.nexus_calls import served
from tests.ported_temporal.scaffold import assert_eventually, events_of, random_id

pytestmark = pytest.mark.needs("nexus operations")

PATIENCE = timedelta(seconds=20)
SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED


@workflow.defn
class Callee:
    """Ends when it has been told as often as it was asked to wait for."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._said: list[str] = []

    @workflow.run
    async def run(self, times: int) -> str:
        """Wait."""
        await workflow.wait_condition(lambda: len(self._said) >= times)
        return ",".join(self._said)

    @workflow.signal
    def say(self, text: str) -> None:
        """Say."""
        self._said.append(text)


@nexusrpc.service
class Signals:
    """Each operation takes the callee's id."""

    at_once: nexusrpc.Operation[str, str]
    later: nexusrpc.Operation[str, str]
    joins: nexusrpc.Operation[str, str]


async def _start(callee: str, times: int, **options: Any) -> Any:
    return await nexus.client().start_workflow(
        Callee.run,
        times,
        id=callee,
        task_queue=nexus.info().task_queue,
        **options,
    )


class SignalsLater(nexusrpc.handler.OperationHandler[str, str]):
    """Leaves a token, and nothing that would ever report the end."""

    async def start(
        self,
        ctx: nexusrpc.handler.StartOperationContext,
        input: str,  # noqa: A002 - the SDK's name
    ) -> nexusrpc.handler.StartOperationResultAsync:
        """Signal."""
        await _start(input, 1, start_signal="say", start_signal_args=["async-signal"])
        return nexusrpc.handler.StartOperationResultAsync("a token")

    async def cancel(
        self, ctx: nexusrpc.handler.CancelOperationContext, token: str
    ) -> None:
        """Nothing to do."""


@nexusrpc.handler.service_handler(service=Signals)
class SignalsHandler:
    """Its handler."""

    @nexusrpc.handler.sync_operation
    async def at_once(
        self, ctx: nexusrpc.handler.StartOperationContext, callee: str
    ) -> str:
        """A signal that starts it, and another."""
        handle = await _start(
            callee, 2, start_signal="say", start_signal_args=["first"]
        )
        await handle.signal(Callee.say, "second")
        return "ok:sync"

    @nexusrpc.handler.operation_handler
    def later(self) -> nexusrpc.handler.OperationHandler[str, str]:
        """A signal that starts it."""
        return SignalsLater()

    @nexusrpc.handler.sync_operation
    async def joins(
        self, ctx: nexusrpc.handler.StartOperationContext, callee: str
    ) -> str:
        """A start of what runs already."""
        await _start(
            callee, 1, id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING
        )
        return "ok:conflict"


@workflow.defn
class Calls:
    """Calls an operation; gives its result, or its token if it takes longer."""

    @workflow.run
    async def run(self, endpoint: str, operation: str, callee: str) -> str:
        """Call it."""
        client = workflow.create_nexus_client(service=Signals, endpoint=endpoint)
        handle = await client.start_operation(getattr(Signals, operation), callee)
        return str(handle.operation_token or await handle)


async def only(handle: Any, kind: EventType.ValueType) -> list[HistoryEvent]:
    """The events of one kind in a history."""
    return [event for event in await events_of(handle) if event.event_type == kind]


async def signals_of(client: Client, callee: str) -> list[HistoryEvent]:
    """The signals that a callee got."""
    return await only(client.get_workflow_handle(callee), SIGNALED)


def leads_to(link: Link, workflow_id: str) -> bool:
    """Whether a link leads to a signal in a workflow's history."""
    event = link.workflow_event
    signal = SIGNALED in (event.event_ref.event_type, event.request_id_ref.event_type)
    return event.workflow_id == workflow_id and signal


@pytest.mark.parametrize(
    ("operation", "answer", "said", "linked"),
    [
        (
            "at_once",
            "ok:sync",
            "first,second",
            EventType.EVENT_TYPE_NEXUS_OPERATION_COMPLETED,
        ),
        (
            "later",
            "a token",
            "async-signal",
            EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED,
        ),
    ],
)
async def test_signals_and_a_workflows_operation_are_linked(
    client: Client,
    operation: str,
    answer: str,
    said: str,
    linked: EventType.ValueType,
) -> None:
    callee = random_id("callee")
    async with served(client, SignalsHandler(), workflows=(Callee, Calls)) as (
        worker,
        endpoint,
    ):
        caller = await client.start_workflow(
            Calls.run,
            args=[endpoint, operation, callee],
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert await caller.result() == answer
        assert await client.get_workflow_handle(callee).result() == said
        (scheduled,) = await only(
            caller, EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED
        )
        signals = await signals_of(client, callee)
        assert len(signals) == len(said.split(","))
        for signal in signals:
            (link,) = signal.links
            assert link.workflow_event.workflow_id == caller.id
            assert link.workflow_event.run_id == caller.first_execution_run_id
            assert link.workflow_event.event_ref.event_id == scheduled.event_id
        (event,) = await only(caller, linked)
        assert event.links
        assert all(leads_to(link, callee) for link in event.links)


@pytest.mark.parametrize(
    ("operation", "said"), [("at_once", "first,second"), ("later", "async-signal")]
)
async def test_signals_are_linked_to_a_clients_operation(
    client: Client, operation: str, said: str
) -> None:
    callee = random_id("callee")
    async with served(client, SignalsHandler(), workflows=(Callee,)) as (_, endpoint):
        calls = client.create_nexus_client(Signals, endpoint=endpoint)
        handle = await calls.start_operation(
            getattr(Signals, operation),
            callee,
            id=random_id("operation"),
            schedule_to_close_timeout=PATIENCE,
        )
        if operation == "at_once":
            assert await handle.result() == "ok:sync"

        async def signaled() -> list[HistoryEvent]:
            with suppress(RPCError):  # it may not run yet
                signals = await signals_of(client, callee)
                if len(signals) == len(said.split(",")):
                    return signals
            raise AssertionError("not all were sent")

        for signal in await assert_eventually(signaled):
            (link,) = signal.links
            assert link.nexus_operation.namespace == client.namespace
            assert link.nexus_operation.operation_id == handle.operation_id
        assert await client.get_workflow_handle(callee).result() == said


async def test_start_from_handler_attaches_on_conflict_options(client: Client) -> None:
    async with served(client, SignalsHandler(), workflows=(Callee, Calls)) as (
        worker,
        endpoint,
    ):
        callee = await client.start_workflow(
            Callee.run, 1, id=random_id("callee"), task_queue=worker.task_queue
        )
        result = await client.execute_workflow(
            Calls.run,
            args=[endpoint, "joins", callee.id],
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert result == "ok:conflict"
        await callee.signal(Callee.say, "done")
        assert await callee.result() == "done"
        (updated,) = await only(
            callee, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
        )
        attributes = updated.workflow_execution_options_updated_event_attributes
        assert attributes.attached_request_id
