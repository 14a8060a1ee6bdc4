"""A class of one's own goes through workflows in an encoding of one's own."""

import asyncio
import dataclasses
from typing import Any

from dbosify import workflow
from dbosify.api.common.v1 import Payload
from dbosify.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
)
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


class Greeting:
    """What no JSON encoder knows anything about."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"Hello, {self.name}"


class GreetingConverter(EncodingPayloadConverter):
    @property
    def encoding(self) -> str:
        return "text/greeting"

    def to_payload(self, value: Any) -> Payload | None:
        if not isinstance(value, Greeting):
            return None
        return Payload(
            metadata={"encoding": self.encoding.encode(), "polite": b"true"},
            data=value.name.encode(),
        )

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        assert not type_hint or type_hint is Greeting
        return Greeting(payload.data.decode())


class GreetingPayloadConverter(CompositePayloadConverter):
    def __init__(self) -> None:
        super().__init__(
            GreetingConverter(),
            *DefaultPayloadConverter.default_encoding_payload_converters,
        )


CONVERTER = dataclasses.replace(
    DataConverter.default, payload_converter_class=GreetingPayloadConverter
)


@workflow.defn(sandboxed=False)
class GreetingWorkflow:
    @workflow.run
    async def run(self, name: str) -> Greeting:
        return Greeting(name)


async def main() -> None:
    async with (
        await connect(data_converter=CONVERTER) as client,
        Worker(client, task_queue="custom-converter", workflows=[GreetingWorkflow]),
    ):
        result = await client.execute_workflow(
            GreetingWorkflow.run,
            "Temporal",
            id="custom-converter",
            task_queue="custom-converter",
        )
    print(type(result).__name__, result)


if __name__ == "__main__":
    asyncio.run(main())
