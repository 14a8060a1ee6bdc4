"""Codecs and converters: whatever crosses the service goes through the client's own."""

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.api.common.v1 import Payload, Payloads
from dbosify.api.failure.v1 import Failure
from dbosify.client import Client, WorkflowFailureError, WorkflowUpdateFailedError
from dbosify.common import RetryPolicy
from dbosify.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    PayloadCodec,
    PayloadConverter,
)
from dbosify.exceptions import ActivityError, ApplicationError
from tests.ported_temporal.scaffold import (
    assert_task_fail_eventually,
    events_of,
    new_worker,
    random_id,
)

with workflow.unsafe.imports_passed_through():
    from tests.ported_temporal import test_activities, test_signals_queries

TEN_SECONDS = timedelta(seconds=10)
ONCE = RetryPolicy(maximum_attempts=1)


def converting(client: Client, **changes: Any) -> Client:
    """The same client with another data converter."""
    config: Any = client.config()
    config["data_converter"] = dataclasses.replace(DataConverter.default, **changes)
    return Client(**config)


class PackingCodec(PayloadCodec):
    """Packs all payloads of a call into one, so that their number changes too."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        data = Payloads(payloads=payloads).SerializeToString()
        return [Payload(metadata={"packed": b"yes"}, data=data)]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        (packed,) = payloads
        assert packed.metadata["packed"] == b"yes"
        return list(Payloads.FromString(packed.data).payloads)


class PassthroughCodec(PayloadCodec):
    """Gives back the very objects it got."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)


async def test_workflow_with_codec(client: Client) -> None:
    packing = converting(client, payload_codec=PackingCodec())
    await test_signals_queries.test_workflow_signal_and_query(packing)
    await test_signals_queries.test_workflow_signal_and_query_errors(packing)
    await test_activities.test_workflow_simple_activity(packing)


@workflow.defn
class ListWorkflow:
    """A list that grows by updates."""

    def __init__(self) -> None:
        self._items: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: "last" in self._items)
        return self._items

    @workflow.update
    async def add(self, item: str, times: int) -> int:
        self._items += [item] * times
        return len(self._items)

    @add.validator
    def check(self, item: str, times: int) -> None:
        if times < 1:
            raise ApplicationError("too few", item, times)


@pytest.mark.needs("updates")
async def test_workflow_with_codec_takes_updates(client: Client) -> None:
    packing = converting(client, payload_codec=PackingCodec())
    async with new_worker(packing, ListWorkflow) as worker:
        handle = await packing.start_workflow(
            ListWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.execute_update(ListWorkflow.add, args=["a", 2]) == 2
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(ListWorkflow.add, args=["b", 0])
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.details == ("b", 0)
        assert await handle.execute_update(ListWorkflow.add, args=["last", 1]) == 3
        assert await handle.result() == ["a", "a", "last"]


async def test_workflow_with_passthrough_codec(client: Client) -> None:
    passing = converting(client, payload_codec=PassthroughCodec())
    await test_activities.test_workflow_simple_activity(passing)


class MyCustomError(ApplicationError):
    """What failures of that type are turned back into."""

    def __init__(self, message: str) -> None:
        super().__init__(message, type="MyCustomError", non_retryable=True)


class CustomFailureConverter(DefaultFailureConverterWithEncodedAttributes):
    def from_failure(
        self, failure: Failure, payload_converter: PayloadConverter
    ) -> BaseException:
        error = super().from_failure(failure, payload_converter)
        if isinstance(error, ApplicationError) and error.type == "MyCustomError":
            custom = MyCustomError(error.message)
            custom.__cause__ = error.cause
            return custom
        return error


@activity.defn
async def raise_custom() -> None:
    raise MyCustomError("activity error!")


@workflow.defn
class CustomErrorWorkflow:
    @workflow.run
    async def run(self) -> None:
        try:
            await workflow.execute_activity(
                raise_custom, schedule_to_close_timeout=TEN_SECONDS
            )
        except ActivityError as error:
            raise MyCustomError("workflow error!") from error


async def test_workflow_custom_failure_converter(client: Client) -> None:
    custom = converting(client, failure_converter_class=CustomFailureConverter)
    async with new_worker(
        custom, CustomErrorWorkflow, activities=[raise_custom]
    ) as worker:
        handle = await custom.start_workflow(
            CustomErrorWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    outer = failed.value.cause
    assert isinstance(outer, MyCustomError)
    assert outer.message == "workflow error!"
    middle = outer.cause
    assert isinstance(middle, ActivityError)
    inner = middle.cause
    assert isinstance(inner, MyCustomError)
    assert inner.message == "activity error!"
    assert inner.cause is None

    last = (await events_of(handle))[-1]
    failure = last.workflow_execution_failed_event_attributes.failure
    assert failure.application_failure_info.type == "MyCustomError"
    for level in (failure, failure.cause, failure.cause.cause):
        assert level.message == "Encoded failure"
        assert level.stack_trace == ""
        (attributes,) = await custom.data_converter.decode([level.encoded_attributes])
        assert set(attributes) == {"message", "stack_trace"}


class RefusingPayloadConverter(DefaultPayloadConverter):
    """Won't read some values and won't write others."""

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        for payload in payloads:
            if b"unreadable" in payload.data:
                raise ApplicationError("Intentional converter failure")
        return super().from_payloads(payloads, type_hints)

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        if "unwritable" in values:
            raise ApplicationError("Intentional outbound converter failure")
        return super().to_payloads(values)


@workflow.defn
class TakeWorkflow:
    @workflow.run
    async def run(self, value: str) -> str:
        return value


async def test_exception_raising_converter_param(client: Client) -> None:
    refusing = converting(client, payload_converter_class=RefusingPayloadConverter)
    async with new_worker(refusing, TakeWorkflow) as worker:
        with pytest.raises(WorkflowFailureError) as failed:
            await refusing.execute_workflow(
                TakeWorkflow.run,
                "unreadable",
                id=random_id(),
                task_queue=worker.task_queue,
            )
    assert isinstance(failed.value.cause, ApplicationError)
    assert "Intentional converter failure" in str(failed.value.cause)


@workflow.defn
class UnwritableArgumentWorkflow:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            "nobody-serves-it", "unwritable", start_to_close_timeout=TEN_SECONDS
        )


async def test_workflow_activity_outbound_conversion_failure(client: Client) -> None:
    refusing = converting(client, payload_converter_class=RefusingPayloadConverter)
    async with new_worker(refusing, UnwritableArgumentWorkflow) as worker:
        handle = await refusing.start_workflow(
            UnwritableArgumentWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
        )
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert "Intentional outbound converter failure" in str(failed.value.cause)
    assert not [
        event
        for event in await events_of(handle)
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


class BadFailureConverterError(Exception):
    """What the converter below breaks down at."""


class BadFailureConverter(DefaultFailureConverter):
    def to_failure(
        self,
        exception: BaseException,
        payload_converter: PayloadConverter,
        failure: Failure,
    ) -> None:
        if isinstance(exception, BadFailureConverterError):
            raise RuntimeError("Intentional failure conversion error")
        super().to_failure(exception, payload_converter, failure)


@activity.defn
async def raise_inconvertible() -> None:
    raise BadFailureConverterError


@workflow.defn(sandboxed=False)
class InconvertibleErrorWorkflow:
    @workflow.run
    async def run(self, in_workflow: bool) -> None:
        if in_workflow:
            raise BadFailureConverterError
        await workflow.execute_activity(
            raise_inconvertible,
            schedule_to_close_timeout=TEN_SECONDS,
            retry_policy=ONCE,
        )


async def test_bad_failure_converter(client: Client) -> None:
    bad = converting(client, failure_converter_class=BadFailureConverter)
    async with new_worker(
        bad, InconvertibleErrorWorkflow, activities=[raise_inconvertible]
    ) as worker:
        with pytest.raises(WorkflowFailureError) as failed:
            await bad.execute_workflow(
                InconvertibleErrorWorkflow.run,
                False,
                id=random_id(),
                task_queue=worker.task_queue,
            )
        assert isinstance(failed.value.cause, ActivityError)
        cause = failed.value.cause.cause
        assert isinstance(cause, ApplicationError)
        assert cause.message == (
            "Failed building exception result: Intentional failure conversion error"
        )
        handle = await bad.start_workflow(
            InconvertibleErrorWorkflow.run,
            True,
            id=random_id(),
            task_queue=worker.task_queue,
        )
        message = await assert_task_fail_eventually(handle)
        assert message == (
            "Failed converting activation exception: "
            "Intentional failure conversion error"
        )
        await handle.terminate("seen enough")


class HidingCodec(PayloadCodec):
    """Stands for encryption: nothing of what it has written can be read."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(
                metadata={"encoding": b"binary/hidden"},
                data=payload.SerializeToString()[::-1],
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        assert all(p.metadata["encoding"] == b"binary/hidden" for p in payloads)
        return [Payload.FromString(payload.data[::-1]) for payload in payloads]


@activity.defn
async def raise_with_details() -> None:
    raise ApplicationError("fail", "detail", {"more": 1}, non_retryable=True)


@workflow.defn
class ReadDetailsWorkflow:
    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.execute_activity(
                raise_with_details, schedule_to_close_timeout=TEN_SECONDS
            )
        except ActivityError as error:
            cause = error.cause
            assert isinstance(cause, ApplicationError)
            assert cause.message == "fail"
            assert cause.details == ("detail", {"more": 1})
            return "read"
        return "no error"


async def test_activity_failure_with_encoded_payload_is_decoded_in_workflow(
    client: Client,
) -> None:
    hiding = converting(client, payload_codec=HidingCodec())
    async with new_worker(
        hiding, ReadDetailsWorkflow, activities=[raise_with_details]
    ) as worker:
        result = await hiding.execute_workflow(
            ReadDetailsWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
    assert result == "read"
