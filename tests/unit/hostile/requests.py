"""Makes hostile requests from the protobuf descriptors, for whatever RPC there is.

A plain request of an RPC names things that are there, as far as the names of its
fields tell what to put into them. A hostile one is a plain one with a single field,
however deep, replaced. An RPC that is new in the registry gets both without a word
here, unless it needs something that its fields don't tell.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

Path: TypeAlias = tuple[FieldDescriptor, ...]

SQL = "x'; DROP TABLE dbosify_executions CASCADE; --"
NUL = "a\0b"
HUGE = "x" * 10_000_000
NOT_A_NUMBER = -7
UNKNOWN_NUMBER = 9_999
LAST_SECOND = 2**63 - 1

STRINGS = {
    "SQL": SQL,
    "a NUL": NUL,
    "a brace": "%s {0} \\",
    "a soft hyphen": "\xad\u202e",
}
BYTES = {"no message": b"\xff\xff\xff", "SQL": SQL.encode(), "a NUL": b"\0"}
INTEGERS = {"a negative number": NOT_A_NUMBER, "the last number": 2**31 - 1}
ENUMS = {"an unknown number": UNKNOWN_NUMBER, "a negative number": NOT_A_NUMBER}
FLOATS = {"no number": float("nan"), "no end": float("inf"), "less than none": -1.0}
DURATIONS = {
    "a negative time": Duration(seconds=-1),
    "two signs": Duration(seconds=1, nanos=-5),
    "longer than any": Duration(seconds=LAST_SECOND, nanos=2**31 - 1),
    "longer than asyncio knows": Duration(seconds=10**11),
}
TIMESTAMPS = {
    "before all years": Timestamp(seconds=-(2**63)),
    "after all years": Timestamp(seconds=LAST_SECOND, nanos=2**31 - 1),
    "less than no nanos": Timestamp(seconds=1, nanos=-1),
    "the year ten thousand": Timestamp(seconds=253402300800),
}
WELL_KNOWN: Mapping[str, Mapping[str, Message]] = {
    Duration.DESCRIPTOR.full_name: DURATIONS,
    Timestamp.DESCRIPTOR.full_name: TIMESTAMPS,
}
DEEP = 2
"""At more than so many names huge texts are no longer tried, for time's sake."""

FILLED_IN = frozenset(
    {
        "activity_type",
        "execution",
        "input",
        "meta",
        "query",
        "request",
        "schedule",
        "action",
        "start_workflow",
        "spec",
        "target",
        "task_queue",
        "update_ref",
        "workflow_execution",
        "workflow_type",
        "worker",
    }
)
"""Fields that a plain request has, and whose own fields are filled in likewise."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """A request with one bad field.

    Attributes:
        what: which field, and what is bad about it.
        request: the whole.
    """

    what: str
    request: Message


def plain(kind: type[Message], names: Callable[[str], str | None]) -> Message:
    """A request in which nothing is wrong, as far as the names of its fields tell."""
    request = kind()
    _fill(request, names, 4)
    return request


def _fill(message: Message, names: Callable[[str], str | None], depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.is_repeated or (field.containing_oneof and depth == 0):
            continue
        if field.type == FieldDescriptor.TYPE_STRING:
            value = names(field.name)
            if value is not None:
                setattr(message, field.name, value)
        elif field.message_type is not None and field.name in FILLED_IN and depth:
            inner = getattr(message, field.name)
            inner.SetInParent()
            if field.message_type.full_name not in WELL_KNOWN:
                _fill(inner, names, depth - 1)


def hostile(make: Callable[[], Message]) -> Iterator[Hostile]:
    """Every request with one bad field.

    Args:
        make: gives a new plain request.
    """
    for path in fields(make().DESCRIPTOR):
        for what, value in bad_values(path).items():
            request = make()
            put(request, path, value)
            where = ".".join(field.name for field in path)
            yield Hostile(f"{where}: {what}", request)


def fields(kind: Any, above: Path = ()) -> Iterator[Path]:
    """The fields of a message that hold values, down to where a message nests."""
    if any(field.message_type is kind for field in above[:-1]):
        return
    for field in kind.fields:
        path = (*above, field)
        if _is_value(field):
            yield path
        else:
            yield from fields(field.message_type, path)


def _is_value(field: FieldDescriptor) -> bool:
    message = field.message_type
    if message is None or message.full_name in WELL_KNOWN:
        return True
    return bool(message.GetOptions().map_entry)


def bad_values(path: Path) -> Mapping[str, Any]:
    """What no honest caller puts into a field."""
    field = path[-1]
    if field.message_type is not None:
        entry = field.message_type
        if entry.full_name in WELL_KNOWN:
            return WELL_KNOWN[entry.full_name]
        return {"a key of " + what: value for what, value in STRINGS.items()}
    if field.type == FieldDescriptor.TYPE_STRING:
        if len(path) < DEEP:
            return {**STRINGS, "ten million characters": HUGE}
        return STRINGS
    if field.type == FieldDescriptor.TYPE_BYTES:
        return BYTES
    if field.type == FieldDescriptor.TYPE_ENUM:
        return ENUMS
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return FLOATS
    if field.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64):
        return INTEGERS
    return {}


def put(message: Any, path: Path, value: Any) -> None:
    """Put a value into a field; on the way, a list gets one element."""
    for field in path[:-1]:
        message = getattr(message, field.name)
        if field.is_repeated:
            message = message[0] if len(message) else message.add()
        else:
            message.SetInParent()
    field = path[-1]
    there = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _put_key(there, field, value)
    elif field.is_repeated and field.message_type is not None:
        there.add().CopyFrom(value)
    elif field.is_repeated:
        there.append(value)
    elif field.message_type is not None:
        there.CopyFrom(value)
    else:
        setattr(message, field.name, value)


def _put_key(there: Any, field: FieldDescriptor, key: str) -> None:
    entry: Any = field.message_type
    value = entry.fields_by_name["value"]
    if value.message_type is not None:
        there[key].SetInParent()
    elif value.type == FieldDescriptor.TYPE_STRING:
        there[key] = key
    elif value.type == FieldDescriptor.TYPE_BYTES:
        there[key] = key.encode()
    else:
        there[key] = UNKNOWN_NUMBER


def fresh() -> str:
    """An id that nothing has yet."""
    return str(uuid.uuid4())
