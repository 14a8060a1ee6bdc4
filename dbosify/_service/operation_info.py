"""What describe and lists show of a Nexus operation without a workflow."""

from __future__ import annotations

from typing import Any

from temporalio.api.nexus.v1 import (
    NexusOperationExecutionInfo,
    NexusOperationExecutionListInfo,
)
from temporalio.api.workflowservice.v1 import StartNexusOperationExecutionRequest

from dbosify._model import clock, nexus
from dbosify._model.protos import (
    PendingNexusOperationInfo,
    PendingNexusOperationState,
    SearchAttributes,
    Timestamp,
)
from dbosify._model.search_attributes import as_typed

_NO_STATE = PendingNexusOperationState.PENDING_NEXUS_OPERATION_STATE_UNSPECIFIED
_STARTED = PendingNexusOperationState.PENDING_NEXUS_OPERATION_STATE_STARTED
_FROM_REQUEST = (
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "start_to_close_timeout",
    "user_metadata",
)
_FROM_CALLS = (
    "last_attempt_complete_time",
    "last_attempt_failure",
    "next_attempt_schedule_time",
)
_OF_CANCELLATION = ("requested_time", *_FROM_CALLS)


def info(found: dict[str, Any], *, now: Timestamp) -> NexusOperationExecutionInfo:
    """An operation as describe shows it, without input and outcome.

    Args:
        found: its row.
        now: the database's time.
    """
    request = StartNexusOperationExecutionRequest.FromString(found["request"])
    calls = PendingNexusOperationInfo.FromString(found["info"])
    shown = NexusOperationExecutionInfo(
        operation_id=found["operation_id"],
        run_id=found["run_id"],
        endpoint=found["endpoint"],
        service=found["service"],
        operation=found["operation"],
        status=found["status"],
        state=calls.state if found["close_time"] is None else _NO_STATE,
        attempt=calls.attempt,
        request_id=nexus.request_id(found["run_id"], 0),
        operation_token=calls.operation_token,
        identity=request.identity,
        nexus_header=request.nexus_header,
        state_transition_count=found["transitions"],
        state_size_bytes=len(found["request"]),
        search_attributes=_attributes(found),
    )
    for name in _FROM_REQUEST:
        if request.HasField(name):  # type: ignore[arg-type]
            getattr(shown, name).CopyFrom(getattr(request, name))
    if found["close_time"] is not None:
        calls.ClearField("next_attempt_schedule_time")
    for name in _FROM_CALLS:
        if calls.HasField(name):  # type: ignore[arg-type]
            getattr(shown, name).CopyFrom(getattr(calls, name))
    if found["links"] is not None:
        shown.links.extend(NexusOperationExecutionInfo.FromString(found["links"]).links)
    _times(shown, found, now)
    _cancellation(shown, found, calls)
    return shown


def _times(
    shown: NexusOperationExecutionInfo, found: dict[str, Any], now: Timestamp
) -> None:
    shown.schedule_time.FromDatetime(found["start_time"])
    if clock.seconds(shown.schedule_to_close_timeout) > 0:
        expires_at = clock.seconds(shown.schedule_time) + clock.seconds(
            shown.schedule_to_close_timeout
        )
        shown.expiration_time.CopyFrom(clock.of_seconds(min(expires_at, nexus.FOREVER)))
    until = now
    if found["close_time"] is not None:
        shown.close_time.FromDatetime(found["close_time"])
        until = shown.close_time
    lasted = until.ToNanoseconds() - shown.schedule_time.ToNanoseconds()
    shown.execution_duration.FromNanoseconds(max(lasted, 0))


def _cancellation(
    shown: NexusOperationExecutionInfo,
    found: dict[str, Any],
    calls: PendingNexusOperationInfo,
) -> None:
    if not calls.HasField("cancellation_info"):
        return
    asked = calls.cancellation_info
    if calls.state == _STARTED:  # A handler that has not begun is not asked yet.
        shown.cancellation_info.state = asked.state
    shown.cancellation_info.attempt = asked.attempt
    shown.cancellation_info.reason = found["cancel_reason"] or ""
    for name in _OF_CANCELLATION:
        if asked.HasField(name):  # type: ignore[arg-type]
            getattr(shown.cancellation_info, name).CopyFrom(getattr(asked, name))


def list_info(row: dict[str, Any]) -> NexusOperationExecutionListInfo:
    """An operation as a list shows it."""
    shown = NexusOperationExecutionListInfo(
        operation_id=row["operation_id"],
        run_id=row["run_id"],
        endpoint=row["endpoint"],
        service=row["service"],
        operation=row["operation"],
        status=row["status"],
        state_transition_count=row["transitions"],
        search_attributes=_attributes(row),
    )
    shown.schedule_time.FromDatetime(row["start_time"])
    if row["close_time"] is not None:
        shown.close_time.FromDatetime(row["close_time"])
        shown.execution_duration.FromTimedelta(row["close_time"] - row["start_time"])
    return shown


def _attributes(row: dict[str, Any]) -> SearchAttributes:
    kept = row["search_attributes"] or {}
    return SearchAttributes(
        indexed_fields={name: as_typed(value) for name, value in kept.items()}
    )
