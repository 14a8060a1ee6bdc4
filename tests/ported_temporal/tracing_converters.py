"""Converters that note whose data they convert, for the tests of their contexts.

What they convert is marked with each conversion, in the order they happen, so that a
result shows the whole way its data took.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias, cast

from dbosify.api.common.v1 import Payload
from dbosify.api.failure.v1 import Failure
from dbosify.client import Client
from dbosify.converter import (
    ActivitySerializationContext,
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    PayloadCodec,
    PayloadConverter,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from dbosify.worker import UnsandboxedWorkflowRunner, Worker
from tests.ported_temporal.scaffold import new_worker

Mark: TypeAlias = tuple[str, SerializationContext | None]
"""What was done, and with what context."""

_CONTEXTS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (ActivitySerializationContext, WorkflowSerializationContext)
}


@dataclass
class Traced:
    """A value that remembers its conversions."""

    marks: list[Mark] = field(default_factory=list)


class TracingJSONConverter(EncodingPayloadConverter, WithSerializationContext):
    """Converts traced values only, and marks them before and after."""

    def __init__(self, context: SerializationContext | None = None) -> None:
        self._context = context

    def with_context(self, context: SerializationContext) -> "TracingJSONConverter":
        return TracingJSONConverter(context)

    @property
    def encoding(self) -> str:
        return "test/traced"

    def to_payload(self, value: Any) -> Payload | None:
        if not isinstance(value, Traced):
            return None
        # The value itself is marked, not a copy: what is sent away and never comes
        # back leaves its mark too.
        value.marks.append(("to_payload", self._context))
        data = [
            (what, type(context).__name__, dataclasses.asdict(cast(Any, context)))
            for what, context in value.marks
        ]
        return Payload(
            metadata={"encoding": self.encoding.encode()},
            data=json.dumps(data).encode(),
        )

    def from_payload(self, payload: Payload, type_hint: Any = None) -> Any:
        marks: list[Mark] = [
            (what, _CONTEXTS[kind](**fields))
            for what, kind, fields in json.loads(payload.data)
        ]
        return Traced([*marks, ("from_payload", self._context)])


class TracingPayloadConverter(CompositePayloadConverter):
    """The default converter, but for traced values."""

    def __init__(self) -> None:
        super().__init__(
            TracingJSONConverter(),
            *DefaultPayloadConverter.default_encoding_payload_converters,
        )


class TracingFailureConverter(DefaultFailureConverter, WithSerializationContext):
    """The default converter of failures; notes every conversion in one list."""

    calls: ClassVar[list[Mark]] = []

    def __init__(self, context: SerializationContext | None = None) -> None:
        super().__init__()
        self._context = context

    def with_context(self, context: SerializationContext) -> "TracingFailureConverter":
        return type(self)(context)

    def to_failure(
        self,
        exception: BaseException,
        payload_converter: PayloadConverter,
        failure: Failure,
    ) -> None:
        self.calls.append(("to_failure", self._context))
        super().to_failure(exception, payload_converter, failure)

    def from_failure(
        self, failure: Failure, payload_converter: PayloadConverter
    ) -> BaseException:
        self.calls.append(("from_failure", self._context))
        return super().from_failure(failure, payload_converter)


class TracingCodec(PayloadCodec, WithSerializationContext):
    """Changes nothing; notes every call in a list that its copies share."""

    def __init__(
        self,
        calls: list[Mark] | None = None,
        context: SerializationContext | None = None,
    ) -> None:
        self.calls: list[Mark] = [] if calls is None else calls
        self._context = context

    def with_context(self, context: SerializationContext) -> "TracingCodec":
        return TracingCodec(self.calls, context)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        self.calls.append(("encode", self._context))
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        self.calls.append(("decode", self._context))
        return list(payloads)


def converting(client: Client, **changes: Any) -> Client:
    """The same client with another data converter; traced values unless it says so."""
    config: Any = client.config()
    changes = {"payload_converter_class": TracingPayloadConverter, **changes}
    config["data_converter"] = dataclasses.replace(DataConverter.default, **changes)
    return Client(**config)


def unsandboxed_worker(client: Client, *workflows: type, **options: Any) -> Worker:
    """A worker whose workflows see the very classes that the converters look for."""
    runner = UnsandboxedWorkflowRunner()
    return new_worker(client, *workflows, workflow_runner=runner, **options)
