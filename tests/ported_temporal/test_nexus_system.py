"""Signal with start from a workflow, through the endpoint of the service itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from dbosify import workflow
from dbosify.api.common.v1 import Payload
from dbosify.api.enums.v1 import EventType
from dbosify.client import Client, WorkflowFailureError
from dbosify.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from dbosify.converter import (
    DataConverter,
    DefaultPayloadConverter,
    ExternalStorage,
    PayloadCodec,
    WorkflowSerializationContext,
)
from dbosify.exceptions import NexusOperationError, ServerError
from dbosify.worker import (
    Interceptor,
    StartNexusOperationInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from tests.ported_temporal.scaffold import events_of, random_id
from tests.ported_temporal.storing import InMemoryDriver
from tests.ported_temporal.tracing_converters import (
    TracingCodec,
    converting,
    unsandboxed_worker,
)

pytestmark = pytest.mark.needs("nexus operations")

SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED


@workflow.defn
class Target:
    """Ends when it was told twice."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._said: list[str] = []

    @workflow.run
    async def run(self, first: str) -> str:
        """Wait."""
        await workflow.wait_condition(lambda: len(self._said) >= 2)
        return ",".join([first, *self._said])

    @workflow.signal
    def say(self, text: str) -> None:
        """Say."""
        self._said.append(text)


@workflow.defn
class Starter:
    """Signals a target that may not run yet, twice."""

    @workflow.run
    async def run(self, target: str) -> list[str | None]:
        """Signal."""
        found = []
        for text in ("one", "two"):
            handle = await workflow.signal_with_start_workflow(
                Target.run,
                "input",
                id=target,
                task_queue=workflow.info().task_queue,
                signal=Target.say,
                signal_args=[text],
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                memo={"key": "of the memo"},
                static_summary="a summary",
                static_details="details",
            )
            assert handle.id == target
            found.append(handle.run_id)
        return found


async def test_a_workflow_signals_another_that_it_may_have_to_start(
    client: Client,
) -> None:
    target = random_id("target")
    async with unsandboxed_worker(client, Starter, Target) as worker:
        starter = await client.start_workflow(
            Starter.run, target, id=random_id(), task_queue=worker.task_queue
        )
        first, second = await starter.result()
        assert first == second
        handle = client.get_workflow_handle(target)
        assert await handle.result() == "input,one,two"
    events = [
        event
        for event in await events_of(starter)
        if EventType.Name(event.event_type).startswith("EVENT_TYPE_NEXUS")
    ]
    assert [event.event_type for event in events] == [
        EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED,
        EventType.EVENT_TYPE_NEXUS_OPERATION_COMPLETED,
    ] * 2
    signals = [
        event for event in await events_of(handle) if event.event_type == SIGNALED
    ]
    for scheduled, completed, signal in zip(
        events[::2], events[1::2], signals, strict=True
    ):
        (there,) = completed.links
        assert there.workflow_event.workflow_id == target
        request_id = signal.workflow_execution_signaled_event_attributes.request_id
        assert there.workflow_event.request_id_ref.request_id == request_id
        (back,) = signal.links
        assert back.workflow_event.workflow_id == starter.id
        assert back.workflow_event.event_ref.event_id == scheduled.event_id


@workflow.defn
class Refused:
    """Signals a workflow that may not be started again."""

    @workflow.run
    async def run(self, target: str) -> str:
        """Signal."""
        await workflow.signal_with_start_workflow(
            Target.run,
            "input",
            id=target,
            task_queue=workflow.info().task_queue,
            signal=Target.say,
            signal_args=["late"],
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )
        return "started"


async def test_what_the_service_refuses_fails_the_operation(client: Client) -> None:
    target = random_id("target")
    async with unsandboxed_worker(client, Refused, Target) as worker:
        handle = await client.start_workflow(
            Target.run, "input", id=target, task_queue=worker.task_queue
        )
        await handle.signal(Target.say, "one")
        await handle.signal(Target.say, "two")
        await handle.result()
        caller = await client.start_workflow(
            Refused.run, target, id=random_id(), task_queue=worker.task_queue
        )
        with pytest.raises(WorkflowFailureError) as raised:
            await caller.result()
    error = raised.value.cause
    assert isinstance(error, NexusOperationError)
    assert isinstance(error.cause, ServerError)
    assert error.cause.non_retryable
    assert error.cause.message.startswith(
        "WorkflowExecutionAlreadyStarted: Workflow execution already finished."
        f" WorkflowId: {target},"
    )


class Numbers(PayloadCodec):
    """Marks what it encodes, and counts."""

    def __init__(self) -> None:
        """Nothing was encoded yet."""
        self.encoded: list[Payload] = []

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Mark."""
        self.encoded += payloads
        return [
            Payload(metadata={"encoding": b"marked"}, data=each.SerializeToString())
            for each in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Take the mark away."""
        return [
            Payload.FromString(each.data)
            if each.metadata["encoding"] == b"marked"
            else each
            for each in payloads
        ]


class Watches(WorkflowOutboundInterceptor):
    """Notes what operations are started."""

    async def start_system_nexus_operation(
        self,
        input: StartNexusOperationInput[Any, Any],  # noqa: A002
    ) -> Any:
        """Note it."""
        SEEN.append((input.endpoint, input.operation_name, input.input))
        return await super().start_system_nexus_operation(input)


class WatchesIn(WorkflowInboundInterceptor):
    """Puts the other in its place."""

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        """Take it."""
        super().init(Watches(outbound))


class Watcher(Interceptor):
    """Of workers."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002
    ) -> type[WorkflowInboundInterceptor]:
        """The class."""
        return WatchesIn


SEEN: list[tuple[str, str, Any]] = []


async def test_external_workflow_handle_signal_with_start_workflow_uses_system_nexus(
    client: Client,
) -> None:
    SEEN.clear()
    target, codec, driver = random_id("target"), Numbers(), InMemoryDriver()
    config: Any = client.config()
    config["data_converter"] = dataclasses.replace(
        DataConverter.default,
        payload_codec=codec,
        external_storage=ExternalStorage(drivers=[driver], payload_size_threshold=1),
    )
    coding = Client(**config)
    async with unsandboxed_worker(
        coding, Starter, Target, interceptors=[Watcher()]
    ) as worker:
        await coding.execute_workflow(
            Starter.run, target, id=random_id(), task_queue=worker.task_queue
        )
        await coding.get_workflow_handle(target).result()
    for data in (b'"input"', b'"one"', b'"of the memo"', b'"a summary"', b'"details"'):
        assert any(data in each.data for each in codec.encoded)
    kinds = {each.metadata.get("messageType", b"") for each in codec.encoded}
    # The request itself is for the service, which has no codec.
    assert not [kind for kind in kinds if kind.endswith(b"ExecutionRequest")]
    assert driver.store_calls
    endpoints = {(endpoint, operation) for endpoint, operation, _ in SEEN}
    assert endpoints == {("__temporal_system", "SignalWithStartWorkflowExecution")}
    request = SEEN[0][2]
    assert (request.id, request.signal) == (target, Target.say)


async def test_signal_with_start_uses_target_workflow_serialization_context(
    client: Client,
) -> None:
    target, codec = random_id("target"), TracingCodec()
    tracing = converting(
        client, payload_converter_class=DefaultPayloadConverter, payload_codec=codec
    )
    async with unsandboxed_worker(tracing, Starter, Target) as worker:
        await tracing.execute_workflow(
            Starter.run, target, id=random_id(), task_queue=worker.task_queue
        )
        await tracing.get_workflow_handle(target).result()
    of_target = WorkflowSerializationContext(client.namespace, target)
    assert ("encode", of_target) in codec.calls
    assert ("decode", of_target) in codec.calls
