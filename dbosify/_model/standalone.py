"""Activities that belong to no workflow: how one is over, from what its attempts say.

The attempts close with events, as those of any activity; a standalone one has no
history, so what its events say becomes an outcome, in words of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from . import clock
from .activity import ActivityRow
from .protos import (
    ActivityExecutionOutcome,
    ActivityExecutionStatus,
    Failure,
    HistoryEvent,
    Payloads,
    TimeoutType,
)

_STATUS = ActivityExecutionStatus
RUNNING = int(_STATUS.ACTIVITY_EXECUTION_STATUS_RUNNING)
COMPLETED = int(_STATUS.ACTIVITY_EXECUTION_STATUS_COMPLETED)
FAILED = int(_STATUS.ACTIVITY_EXECUTION_STATUS_FAILED)
CANCELED = int(_STATUS.ACTIVITY_EXECUTION_STATUS_CANCELED)
TERMINATED = int(_STATUS.ACTIVITY_EXECUTION_STATUS_TERMINATED)
TIMED_OUT = int(_STATUS.ACTIVITY_EXECUTION_STATUS_TIMED_OUT)

NAMES: Mapping[int, str] = {
    RUNNING: "Running",
    COMPLETED: "Completed",
    FAILED: "Failed",
    CANCELED: "Canceled",
    TERMINATED: "Terminated",
    TIMED_OUT: "TimedOut",
}
"""What filters and errors call a status."""

DBOS_STATUSES: Mapping[int, str] = {
    COMPLETED: "SUCCESS",
    FAILED: "ERROR",
    CANCELED: "CANCELLED",
    TERMINATED: "CANCELLED",
    TIMED_OUT: "ERROR",
}

_TIMEOUTS = {
    TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE: "StartToClose",
    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START: "ScheduleToStart",
    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE: "ScheduleToClose",
    TimeoutType.TIMEOUT_TYPE_HEARTBEAT: "Heartbeat",
}


def outcome_of(
    closing: Sequence[HistoryEvent], reason: str
) -> tuple[int, ActivityExecutionOutcome]:
    """Status and outcome of an activity whose attempts are over.

    Args:
        closing: the last events; a single one if no attempt was under way.
        reason: why its end was asked for, if it never learned of that itself.
    """
    event, outcome = closing[-1], ActivityExecutionOutcome()
    match event.WhichOneof("attributes"):
        case "activity_task_completed_event_attributes":
            done = event.activity_task_completed_event_attributes
            outcome.result.CopyFrom(done.result)
            return COMPLETED, outcome
        case "activity_task_failed_event_attributes":
            failed = event.activity_task_failed_event_attributes
            outcome.failure.CopyFrom(failed.failure)
            outcome.retry_state = failed.retry_state
            return FAILED, outcome
        case "activity_task_timed_out_event_attributes":
            late = event.activity_task_timed_out_event_attributes
            outcome.failure.CopyFrom(timeout(late.failure))
            outcome.retry_state = late.retry_state
            return TIMED_OUT, outcome
        case _:
            gone = event.activity_task_canceled_event_attributes
            details = gone.details if len(closing) > 1 else _said(reason)
            failure = Failure(message="Activity canceled")
            failure.canceled_failure_info.identity = gone.identity
            failure.canceled_failure_info.details.CopyFrom(details)
            outcome.failure.CopyFrom(failure)
            return CANCELED, outcome


def timeout(failure: Failure) -> Failure:
    """A timeout in the words that are used of standalone activities."""
    info = failure.timeout_failure_info
    said = Failure(message=f"activity {_TIMEOUTS[info.timeout_type]} timeout")
    said.timeout_failure_info.CopyFrom(info)
    return said


def _said(reason: str) -> Payloads:
    details = Payloads()
    data = json.dumps(reason, ensure_ascii=False).encode()
    details.payloads.add(metadata={"encoding": b"json/plain"}, data=data)
    return details


def terminated(reason: str, identity: str) -> ActivityExecutionOutcome:
    """The outcome of an activity that somebody ended."""
    failure = Failure(message=reason)
    failure.terminated_failure_info.identity = identity
    return ActivityExecutionOutcome(failure=failure)


def last_failure(row: ActivityRow, outcome: ActivityExecutionOutcome) -> Failure | None:
    """The failure of the last attempt that had one."""
    ended_by_itself = row.closing is not None and len(row.closing) > 1
    kind = outcome.failure.WhichOneof("failure_info")
    if ended_by_itself and kind not in (None, "canceled_failure_info"):
        return outcome.failure
    return row.progress.last_failure


def last_attempt_end(row: ActivityRow) -> float | None:
    """When the last attempt ended, in seconds since 1970; None if there was none."""
    if row.closing is None or len(row.closing) == 1:
        return row.progress.completed_at
    return clock.seconds(row.closing[-1].event_time)
