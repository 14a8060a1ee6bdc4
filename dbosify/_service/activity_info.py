"""What describe and lists show of an activity without a workflow."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.activity.v1 import ActivityExecutionInfo, ActivityExecutionListInfo
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflowservice.v1 import StartActivityExecutionRequest

from dbosify._model import clock
from dbosify._model.activity import AttemptState
from dbosify._model.protos import Failure, Payload, Payloads
from dbosify._model.search_attributes import as_typed

_STATES = PendingActivityState
_FROM_REQUEST: tuple[str, ...] = (
    "activity_type",
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "start_to_close_timeout",
    "heartbeat_timeout",
    "retry_policy",
    "priority",
    "header",
    "user_metadata",
    "start_delay",
)


def info(
    found: dict[str, Any], request: StartActivityExecutionRequest
) -> ActivityExecutionInfo:
    """An activity as describe shows it, without what has to be asked for.

    Args:
        found: its row.
        request: by which it was started.
    """
    shown = ActivityExecutionInfo(
        activity_id=found["activity_id"],
        run_id=found["run_id"],
        status=found["status"],
        task_queue=found["task_queue"],
        attempt=found["attempt"],
        last_worker_identity=found["worker_identity"] or "",
        canceled_reason=found["cancel_reason"] or "",
        state_transition_count=found["transitions"],
        state_size_bytes=len(found["request"]),
        total_heartbeat_count=found["heartbeats"],
    )
    sent = {field.name for field, _ in request.ListFields()}
    for name in sent.intersection(_FROM_REQUEST):
        getattr(shown, name).CopyFrom(getattr(request, name))
    shown.search_attributes.SetInParent()
    for name, payload in _attributes(found).items():
        shown.search_attributes.indexed_fields[name].CopyFrom(payload)
    _times(shown, found)
    if found["close_time"] is None:
        shown.run_state = _state(found)
        _next_attempt(shown, found)
    else:
        lasted = found["close_time"] - found["execution_time"]
        shown.execution_duration.FromTimedelta(lasted)
    return shown


def _state(found: dict[str, Any]) -> PendingActivityState.ValueType:
    if found["state"] != AttemptState.STARTED:
        return _STATES.PENDING_ACTIVITY_STATE_SCHEDULED
    if found["cancel_requested"]:
        return _STATES.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED
    return _STATES.PENDING_ACTIVITY_STATE_STARTED


def _times(shown: ActivityExecutionInfo, found: dict[str, Any]) -> None:
    _moment(shown.schedule_time, found["start_time"])
    _moment(shown.execution_time, found["execution_time"])
    if clock.seconds(shown.schedule_to_close_timeout) > 0:
        shown.expiration_time.CopyFrom(
            clock.later(shown.execution_time, shown.schedule_to_close_timeout)
        )
    if found["close_time"] is not None:
        _moment(shown.close_time, found["close_time"])
    for field, seconds in (
        (shown.last_started_time, found["started_s"]),
        (shown.last_heartbeat_time, found["heartbeat_s"]),
        (shown.last_attempt_complete_time, found["completed_s"]),
    ):
        if seconds is not None:
            field.CopyFrom(clock.of_seconds(seconds))


def _next_attempt(shown: ActivityExecutionInfo, found: dict[str, Any]) -> None:
    if found["state"] != AttemptState.BACKOFF:
        return
    begins, ended = found["attempt_scheduled_s"], found["completed_s"]
    shown.next_attempt_schedule_time.CopyFrom(clock.of_seconds(begins))
    if ended is not None:
        interval = clock.duration(round(begins - ended, 6))
        shown.current_retry_interval.CopyFrom(interval)


def _moment(field: Timestamp, moment: datetime) -> None:
    field.FromDatetime(moment)


def heartbeat_details(found: dict[str, Any]) -> Payloads | None:
    """What the last heartbeat said."""
    kept = found["heartbeat_details"]
    return None if kept is None else Payloads.FromString(kept)


def last_failure(found: dict[str, Any]) -> Failure | None:
    """What the last attempt that failed died of."""
    kept = found["last_failure"]
    return None if kept is None else Failure.FromString(kept)


def list_info(row: dict[str, Any]) -> ActivityExecutionListInfo:
    """An activity as a list shows it."""
    shown = ActivityExecutionListInfo(
        activity_id=row["activity_id"],
        run_id=row["run_id"],
        status=row["status"],
        task_queue=row["task_queue"],
        state_transition_count=row["transitions"] or 0,
    )
    shown.activity_type.name = row["activity_type"]
    _moment(shown.schedule_time, row["start_time"])
    _moment(shown.execution_time, row["execution_time"])
    shown.search_attributes.SetInParent()
    for name, payload in _attributes(row).items():
        shown.search_attributes.indexed_fields[name].CopyFrom(payload)
    if row["close_time"] is not None:
        _moment(shown.close_time, row["close_time"])
        shown.execution_duration.FromTimedelta(
            row["close_time"] - row["execution_time"]
        )
    return shown


def _attributes(row: dict[str, Any]) -> dict[str, Payload]:
    kept = row["search_attributes"] or {}
    return {name: as_typed(value) for name, value in kept.items()}
