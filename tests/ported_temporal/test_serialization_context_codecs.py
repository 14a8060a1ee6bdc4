"""Codecs, and converters that users put together themselves, learn the context too."""

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import nexusrpc
import nexusrpc.handler
import pydantic
import pytest

from dbosify import activity, workflow
from dbosify.api.common.v1 import Payload
from dbosify.client import Client
from dbosify.contrib.pydantic import PydanticJSONPlainPayloadConverter
from dbosify.converter import (
    ActivitySerializationContext,
    CompositePayloadConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    NexusSerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from tests.ported_temporal.nexus_calls import endpoint_for
from tests.ported_temporal.scaffold import random_id
from tests.ported_temporal.tracing_converters import (
    Mark,
    TracingCodec,
    converting,
    unsandboxed_worker,
)

TEN_SECONDS = timedelta(seconds=10)


def both(context: SerializationContext) -> list[Mark]:
    """Encoded here, decoded there."""
    return [("encode", context), ("decode", context)]


def of_workflow(client: Client, workflow_id: str) -> WorkflowSerializationContext:
    """The context of a workflow's own data."""
    return WorkflowSerializationContext(client.namespace, workflow_id)


@activity.defn
async def echo(text: str) -> str:
    return text


@workflow.defn
class EchoWorkflow:
    @workflow.run
    async def run(self, text: str) -> str:
        return text


@workflow.defn
class LocalEchoWorkflow:
    @workflow.run
    async def run(self, text: str) -> str:
        return await workflow.execute_local_activity(
            echo,
            text,
            start_to_close_timeout=TEN_SECONDS,
            activity_id="activity-id",
        )


@workflow.defn
class ChildEchoWorkflow:
    @workflow.run
    async def run(self, text: str) -> str:
        return await workflow.execute_child_workflow(
            EchoWorkflow.run, text, id=f"{workflow.info().workflow_id}-child"
        )


async def calls_of(
    client: Client, workflow_class: Any, workflow_id: str, task_queue: str
) -> list[Mark]:
    """What a codec has to do for a run of the workflow, in order."""
    codec = TracingCodec()
    tracing = converting(
        client, payload_converter_class=DefaultPayloadConverter, payload_codec=codec
    )
    async with unsandboxed_worker(
        tracing,
        *{workflow_class, EchoWorkflow},
        activities=[echo],
        task_queue=task_queue,
    ):
        result = await tracing.execute_workflow(
            workflow_class.run, "data", id=workflow_id, task_queue=task_queue
        )
    assert result == "data"
    return codec.calls


async def test_codec_with_context(client: Client) -> None:
    workflow_id = random_id()
    calls = await calls_of(client, EchoWorkflow, workflow_id, random_id("queue"))
    assert calls == 2 * both(of_workflow(client, workflow_id))


@pytest.mark.needs("local activities")
async def test_local_activity_codec_with_context(client: Client) -> None:
    workflow_id, task_queue = random_id(), random_id("queue")
    calls = await calls_of(client, LocalEchoWorkflow, workflow_id, task_queue)
    own = of_workflow(client, workflow_id)
    of_activity = ActivitySerializationContext(
        namespace=client.namespace,
        activity_id="activity-id",
        activity_type="echo",
        activity_task_queue=task_queue,
        workflow_id=workflow_id,
        workflow_type="LocalEchoWorkflow",
        is_local=True,
    )
    assert calls == [*both(own), *2 * both(of_activity), *both(own)]


@pytest.mark.needs("child workflows")
async def test_child_workflow_codec_with_context(client: Client) -> None:
    workflow_id = random_id()
    calls = await calls_of(client, ChildEchoWorkflow, workflow_id, random_id("queue"))
    own = of_workflow(client, workflow_id)
    of_child = of_workflow(client, f"{workflow_id}-child")
    assert [call for call in calls if call[1] == own] == 2 * both(own)
    assert [call for call in calls if call[1] == of_child] == 2 * both(of_child)
    assert len(calls) == 8


class KeyedCodec(PayloadCodec, WithSerializationContext):
    """Locks each payload with a key made of its context; only that opens it again."""

    def __init__(self, context: SerializationContext | None = None) -> None:
        self._context = context

    def with_context(self, context: SerializationContext) -> "KeyedCodec":
        return KeyedCodec(context)

    @property
    def _key(self) -> bytes:
        fields: Any = self._context
        return json.dumps(dataclasses.asdict(fields), sort_keys=True).encode()

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(metadata={"key": self._key}, data=payload.SerializeToString())
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        for payload in payloads:
            assert payload.metadata["key"] == self._key
        return [Payload.FromString(payload.data) for payload in payloads]


@workflow.defn
class EverythingWorkflow:
    """Lets data in on every way there is, and out again."""

    def __init__(self) -> None:
        self._signalled = ""

    @workflow.run
    async def run(self, text: str, with_child: bool) -> list[str]:
        running = [
            workflow.execute_activity(
                echo,
                text,
                start_to_close_timeout=TEN_SECONDS,
                activity_id="activity-id",
            )
        ]
        if with_child:
            running.append(
                workflow.execute_child_workflow(
                    EchoWorkflow.run, text, id=f"{workflow.info().workflow_id}-child"
                )
            )
        results = await asyncio.gather(*running)
        await workflow.wait_condition(lambda: bool(self._signalled))
        return [text, *results, self._signalled]

    @workflow.query
    def ask(self, text: str) -> str:
        return text

    @workflow.signal
    def tell(self, text: str) -> None:
        self._signalled = text

    @workflow.update
    def change(self, text: str) -> str:
        return text


@pytest.mark.oracle_exempt("a Replayer has a queue, and so a context, of its own")
@pytest.mark.parametrize(
    "everything",
    [
        pytest.param(False, id="spine"),
        pytest.param(
            True, id="all", marks=pytest.mark.needs("child workflows", "updates")
        ),
    ],
)
async def test_decode_context_matches_encode_context(
    client: Client, everything: bool
) -> None:
    keyed = converting(
        client,
        payload_converter_class=DefaultPayloadConverter,
        payload_codec=KeyedCodec(),
    )
    async with unsandboxed_worker(
        keyed, EverythingWorkflow, EchoWorkflow, activities=[echo]
    ) as worker:
        handle = await keyed.start_workflow(
            EverythingWorkflow.run,
            args=["inbound", everything],
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert await handle.query(EverythingWorkflow.ask, "inbound") == "inbound"
        if everything:
            changed = await handle.execute_update(EverythingWorkflow.change, "inbound")
            assert changed == "inbound"
        await handle.signal(EverythingWorkflow.tell, "inbound")
        results = await handle.result()
    assert results == ["inbound"] * (4 if everything else 3)


class Model(pydantic.BaseModel):
    """What only pydantic can write and read."""

    trace: list[str] = []


class ContextualPydanticConverter(
    PydanticJSONPlainPayloadConverter, WithSerializationContext
):
    """Pydantic's converter; models note whose they were when they were written."""

    def __init__(self) -> None:
        super().__init__()
        self._context: SerializationContext | None = None

    def with_context(
        self, context: SerializationContext
    ) -> "ContextualPydanticConverter":
        copy = ContextualPydanticConverter()
        copy._context = context
        return copy

    def to_payload(self, value: Any) -> Payload | None:
        if isinstance(value, Model) and isinstance(
            self._context, WorkflowSerializationContext
        ):
            value.trace.append(f"wf_{self._context.workflow_id}")
        return super().to_payload(value)


class PydanticPayloadConverter(CompositePayloadConverter):
    """The default converter with pydantic's in the place of plain JSON."""

    def __init__(self) -> None:
        super().__init__(
            *(
                ContextualPydanticConverter()
                if isinstance(converter, JSONPlainPayloadConverter)
                else converter
                for converter in (
                    DefaultPayloadConverter.default_encoding_payload_converters
                )
            )
        )


@workflow.defn
class ModelWorkflow:
    @workflow.run
    async def run(self, model: Model) -> Model:
        assert isinstance(model, Model)
        return model


async def test_pydantic_converter_with_context(client: Client) -> None:
    modelling = converting(client, payload_converter_class=PydanticPayloadConverter)
    workflow_id = random_id()
    async with unsandboxed_worker(modelling, ModelWorkflow) as worker:
        result = await modelling.execute_workflow(
            ModelWorkflow.run, Model(), id=workflow_id, task_queue=worker.task_queue
        )
    assert result.trace == [f"wf_{workflow_id}"] * 2


class RefusingPayloadConverter(CompositePayloadConverter):
    """A user's own class around a member that takes contexts."""

    def __init__(self) -> None:
        super().__init__(ContextualPydanticConverter())

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        raise NotImplementedError("this is the user's own method")


async def test_user_customization_of_default_payload_converter(client: Client) -> None:
    refusing = converting(client, payload_converter_class=RefusingPayloadConverter)
    with pytest.raises(NotImplementedError, match="the user's own method"):
        await refusing.execute_workflow(
            EchoWorkflow.run, "data", id=random_id(), task_queue=random_id("queue")
        )


@nexusrpc.service
class Echoing:
    """Gives back what it gets."""

    echo: nexusrpc.Operation[str, str]


@nexusrpc.handler.service_handler(service=Echoing)
class EchoHandler:
    """Its handler."""

    @nexusrpc.handler.sync_operation
    async def echo(self, ctx: nexusrpc.handler.StartOperationContext, text: str) -> str:
        """Echo."""
        return text


@workflow.defn
class NexusEchoWorkflow:
    @workflow.run
    async def run(self, endpoint: str) -> str:
        client = workflow.create_nexus_client(service=Echoing, endpoint=endpoint)
        return await client.execute_operation(Echoing.echo, "data")


@pytest.mark.needs("nexus operations")
async def test_payloads_of_nexus_operations_have_a_context_of_their_own(
    client: Client,
) -> None:
    codec, workflow_id, task_queue = TracingCodec(), random_id(), random_id("queue")
    tracing = converting(
        client, payload_converter_class=DefaultPayloadConverter, payload_codec=codec
    )
    async with (
        endpoint_for(client, task_queue) as endpoint,
        unsandboxed_worker(
            tracing,
            NexusEchoWorkflow,
            nexus_service_handlers=[EchoHandler()],
            task_queue=task_queue,
        ),
    ):
        result = await tracing.execute_workflow(
            NexusEchoWorkflow.run, endpoint, id=workflow_id, task_queue=task_queue
        )
    assert result == "data"
    of_operation = NexusSerializationContext(endpoint, "Echoing", "echo")
    own = both(of_workflow(client, workflow_id))
    assert codec.calls == own + 2 * both(of_operation) + own
