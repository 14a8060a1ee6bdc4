"""Inputs of Nexus operations that their handlers cannot read."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import workflow
from dbosify.api.common.v1 import Payload
from dbosify.client import Client, WorkflowFailureError
from dbosify.converter import (
    DataConverter,
    DefaultPayloadConverter,
    PayloadCodec,
)
from dbosify.exceptions import ApplicationError, NexusOperationError
from tests.ported_temporal.nexus_calls import endpoint_for
from tests.ported_temporal.scaffold import new_worker, random_id

pytestmark = pytest.mark.needs("nexus operations")

INVALID = "PayloadValidationError"


@nexusrpc.handler.service_handler(name="Reader")
class Reader:
    """Reads its input."""

    @nexusrpc.handler.sync_operation
    async def read(self, ctx: nexusrpc.handler.StartOperationContext, text: str) -> str:
        """Give it back."""
        return text


@workflow.defn
class Sends:
    """Sends an input."""

    @workflow.run
    async def run(self, endpoint: str) -> str:
        """Send it."""
        client = workflow.create_nexus_client(service="Reader", endpoint=endpoint)
        return await client.execute_operation("read", "a text", output_type=str)


class FailingCodec(PayloadCodec):
    """Fails to decode, the first time or always."""

    def __init__(self, error: Exception, times: int) -> None:
        """Fail so often."""
        self.error = error
        self.times = times
        self.decoded = 0

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Change nothing."""
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Fail, or change nothing."""
        self.decoded += 1
        if self.decoded <= self.times:
            raise self.error
        return list(payloads)


class Broken(DefaultPayloadConverter):
    """Reads nothing."""

    error: Exception = RuntimeError("broken")

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        """Fail."""
        raise self.error


def _invalid() -> ApplicationError:
    return ApplicationError("no good", "a detail", type=INVALID, non_retryable=True)


class Invalid(Broken):
    """Finds fault with everything."""

    error = _invalid()


async def _send(client: Client, converter: DataConverter) -> str:
    """What becomes of an input that a handler with that converter gets."""
    config = client.config()
    config["data_converter"] = converter
    caller = new_worker(client, Sends)
    server = new_worker(Client(**config), nexus_service_handlers=[Reader()])
    async with endpoint_for(client, server.task_queue) as endpoint, caller, server:
        return await client.execute_workflow(
            Sends.run, endpoint, id=random_id(), task_queue=caller.task_queue
        )


async def _refused(client: Client, converter: DataConverter) -> nexusrpc.HandlerError:
    with pytest.raises(WorkflowFailureError) as failed:
        await _send(client, converter)
    assert isinstance(failed.value.cause, NexusOperationError)
    error = failed.value.cause.cause
    assert isinstance(error, nexusrpc.HandlerError)
    assert error.type is nexusrpc.HandlerErrorType.BAD_REQUEST
    assert not error.retryable
    return error


def _with_codec(codec: PayloadCodec) -> DataConverter:
    return dataclasses.replace(DataConverter.default, payload_codec=codec)


def _with_converter(converter: type[DefaultPayloadConverter]) -> DataConverter:
    return dataclasses.replace(DataConverter.default, payload_converter_class=converter)


async def test_nexus_operation_retried_on_codec_decode_failure(client: Client) -> None:
    codec = FailingCodec(RuntimeError("not now"), 1)
    assert await _send(client, _with_codec(codec)) == "a text"
    assert codec.decoded == 2


async def test_nexus_operation_fails_without_retry_on_converter_failure(
    client: Client,
) -> None:
    error = await _refused(client, _with_converter(Broken))
    assert "Payload converter failed to decode Nexus operation input" in str(error)


@pytest.mark.parametrize("where", ["codec", "converter"])
async def test_nexus_operation_fails_without_retry_on_input_validation_failure(
    client: Client, where: str
) -> None:
    converter = _with_converter(Invalid)
    if where == "codec":
        converter = _with_codec(FailingCodec(_invalid(), 1000))
    error = await _refused(client, converter)
    assert "Invalid operation input" in str(error)
    cause = error.__cause__
    while isinstance(cause, nexusrpc.HandlerError):
        cause = cause.__cause__
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message) == (INVALID, "no good")
    assert list(cause.details) == ["a detail"]
