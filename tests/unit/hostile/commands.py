"""Makes hostile commands from the protobuf descriptors, for whatever command there is.

A plain command of each kind asks for something that can be done. A hostile one is a
plain one with a single field, however deep, replaced. A kind of command that is new
gets both without a word here, unless it needs something that its fields don't
tell.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from tests.unit.hostile.requests import Path, bad_values, fields, put

A_MINUTE = Duration(seconds=60)
ENDPOINT = "an-endpoint"
"""That there is, for Nexus operations."""
KEYWORD = "HostileKeyword"
"""A search attribute that there is."""
RUN_ID = "0190c9f4-0000-7000-8000-000000000000"
"""Of no run."""

MORE_STRINGS = {"nothing": "", "too long": "x" * 1001, "too many bytes": "\u00ff" * 600}

NEEDS_ACTIVATION = frozenset({"respond_to_query", "update_response"})
"""These answer a question; the SDK gives them only when it was asked one."""

WITH_METADATA = defaultdict(str, start_timer="user_metadata")
"""One kind is enough for what all have in common."""


@dataclass(frozen=True, slots=True)
class HostileCommand:
    """A command with one bad field.

    Attributes:
        what: which field, and what is bad about it.
        commands: the whole, after those that must come before.
    """

    what: str
    commands: tuple[WorkflowCommand, ...]


def kinds() -> list[str]:
    """Of commands, as their protobuf calls them."""
    variants = WorkflowCommand.DESCRIPTOR.oneofs_by_name["variant"].fields
    return sorted(
        field.name for field in variants if field.name not in NEEDS_ACTIVATION
    )


def plain(kind: str) -> tuple[WorkflowCommand, ...]:
    """Commands of which the last is of a kind; nothing is wrong with any."""
    command = WorkflowCommand()
    _PLAIN.get(kind, _nothing_more)(getattr(command, kind))
    getattr(command, kind).SetInParent()
    before = _BEFORE.get(kind)
    return (*(plain(before) if before else ()), command)


def hostile(kind: str) -> Iterator[HostileCommand]:
    """Every command of a kind that has one bad field."""
    for path in fields(WorkflowCommand.DESCRIPTOR):
        first = path[0]
        if first.name != (kind if first.containing_oneof else WITH_METADATA[kind]):
            continue
        for what, value in _bad_values(path).items():
            commands = plain(kind)
            put(commands[-1], path, value)
            where = ".".join(field.name for field in path)
            yield HostileCommand(f"{kind}: {where}: {what}", commands)


def _bad_values(path: Path) -> Mapping[str, Any]:
    # The kind is a name of the path, too.
    values = dict(bad_values(path[1:] or path))
    if path[-1].type == FieldDescriptor.TYPE_STRING:
        values |= MORE_STRINGS
    if path[-1].type == FieldDescriptor.TYPE_UINT32:
        values["a number nobody has"] = 2**32 - 1
    return values


def _nothing_more(_: Any) -> None:
    pass


def _activity(command: Any) -> None:
    command.seq, command.activity_id, command.activity_type = 1, "1", "activity"
    command.task_queue = "queue of nobody"
    command.start_to_close_timeout.CopyFrom(A_MINUTE)


def _local_activity(command: Any) -> None:
    command.seq, command.activity_id, command.activity_type = 1, "1", "activity"
    command.start_to_close_timeout.CopyFrom(A_MINUTE)


def _timer(command: Any) -> None:
    command.seq = 1
    command.start_to_fire_timeout.CopyFrom(A_MINUTE)


def _child(command: Any) -> None:
    command.seq, command.workflow_type = 1, "child"
    command.workflow_id = "child"
    command.task_queue = "queue of nobody"
    command.workflow_id_reuse_policy = 1


def _cancel_external(command: Any) -> None:
    command.seq = 1
    command.workflow_execution.workflow_id = "nobody"


def _signal(command: Any) -> None:
    command.seq, command.signal_name = 1, "signal"
    command.workflow_execution.workflow_id = "nobody"


def _next_run(command: Any) -> None:
    command.workflow_type = "next"


def _attributes(command: Any) -> None:
    payload = command.search_attributes.indexed_fields[KEYWORD]
    payload.metadata["encoding"] = b"json/plain"
    payload.data = b'"value"'


def _memo(command: Any) -> None:
    command.upserted_memo.fields["key"].data = b"value"


def _patch(command: Any) -> None:
    command.patch_id = "patch"


def _operation(command: Any) -> None:
    command.seq, command.endpoint = 1, ENDPOINT
    command.service, command.operation = "service", "operation"
    command.schedule_to_close_timeout.CopyFrom(A_MINUTE)


def _first(command: Any) -> None:
    command.seq = 1


def _first_child(command: Any) -> None:
    command.child_workflow_seq = 1


def _failure(command: Any) -> None:
    command.failure.message = "failed"
    command.failure.application_failure_info.type = "Type"


_PLAIN: Mapping[str, Callable[[Any], None]] = {
    "schedule_activity": _activity,
    "schedule_local_activity": _local_activity,
    "start_timer": _timer,
    "start_child_workflow_execution": _child,
    "request_cancel_external_workflow_execution": _cancel_external,
    "signal_external_workflow_execution": _signal,
    "continue_as_new_workflow_execution": _next_run,
    "upsert_workflow_search_attributes": _attributes,
    "modify_workflow_properties": _memo,
    "set_patch_marker": _patch,
    "schedule_nexus_operation": _operation,
    "fail_workflow_execution": _failure,
    "request_cancel_activity": _first,
    "request_cancel_local_activity": _first,
    "request_cancel_nexus_operation": _first,
    "cancel_timer": _first,
    "cancel_signal_workflow": _first,
    "cancel_child_workflow_execution": _first_child,
}

_BEFORE = {
    "request_cancel_activity": "schedule_activity",
    "request_cancel_local_activity": "schedule_local_activity",
    "request_cancel_nexus_operation": "schedule_nexus_operation",
    "cancel_timer": "start_timer",
    "cancel_signal_workflow": "signal_external_workflow_execution",
    "cancel_child_workflow_execution": "start_child_workflow_execution",
}
"""What is cancelled must have been asked for."""
