"""What the server refuses and fills in before a client's Nexus operation starts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from temporalio.api.workflowservice.v1 import StartNexusOperationExecutionRequest

from dbosify._model import clock, limits
from dbosify._model.protos import Duration

from . import errors, validate
from .activity_checks import check_metadata, identifier
from .attributes import settled

_MAX_HEADER = 8192
_MAX_NANOSECONDS = 999_999_999
_TIMEOUTS = (
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "start_to_close_timeout",
)


def check(
    request: StartNexusOperationExecutionRequest,
    custom: Mapping[str, str],
    namespace: str,
) -> None:
    """Check a request to start an operation.

    Args:
        request: its search attributes get their types; it gets an id if it has none.
        custom: the types of the registered attributes among them.
        namespace: in which it is to start.

    Raises:
        RPCError: with the server's text for the first thing wrong.
    """
    for name in ("operation_id", "endpoint", "service", "operation"):
        if not getattr(request, name):
            raise errors.invalid(f"{name} is required")
    for name in ("operation_id", "service", "operation", "request_id", "identity"):
        identifier(getattr(request, name), name)
    validate.clean(request.endpoint)
    for name in _TIMEOUTS:
        _check_timeout(getattr(request, name), name)
    size = request.input.ByteSize()
    if size > limits.current.blob_bytes:
        raise errors.invalid(
            f"input exceeds size limit. Length={size} Limit={limits.current.blob_bytes}"
        )
    header = request.nexus_header.items()
    if sum(len(f"{name}{text}".encode()) for name, text in header) > _MAX_HEADER:
        raise errors.invalid("nexus_header exceeds size limit")
    if request.search_attributes.indexed_fields:
        attributes = settled(request.search_attributes, custom, namespace)
        request.search_attributes.CopyFrom(attributes)
    check_metadata(request.user_metadata)
    for callback in request.completion_callbacks:
        raise errors.invalid(
            "invalid url: url does not match any configured callback address:"
            f" {callback.nexus.url}"
        )
    if not request.request_id:
        request.request_id = str(uuid.uuid4())


def _check_timeout(value: Duration, name: str) -> None:
    problem = ""
    if value.seconds * value.nanos < 0 or abs(value.nanos) > _MAX_NANOSECONDS:
        problem = "duration has seconds and nanos with different signs"
    elif clock.seconds(value) < 0:
        problem = "negative duration"
    if problem:
        raise errors.invalid(f"{name} is invalid: {problem}")


def named(operation_id: str, run_id: str) -> tuple[str, str | None]:
    """The operation that a request names.

    Raises:
        RPCError: no operation id, or a run id that is no UUID.
    """
    identifier(operation_id, "operation_id", missing="operation_id is required")
    if run_id and not validate.is_uuid(run_id):
        raise errors.invalid("run_id is not a valid UUID")
    return operation_id, run_id or None
