"""What happens to a run, in few words: events that have no number yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio.api.history.v1 import (
    ActivityTaskCanceledEventAttributes,
    ActivityTaskCompletedEventAttributes,
    ActivityTaskFailedEventAttributes,
    ActivityTaskStartedEventAttributes,
    ActivityTaskTimedOutEventAttributes,
    TimerFiredEventAttributes,
    WorkflowExecutionCancelRequestedEventAttributes,
    WorkflowExecutionOptionsUpdatedEventAttributes,
    WorkflowExecutionSignaledEventAttributes,
)

from dbosify._model.protos import EventType, Failure, HistoryEvent, RetryState
from tests.unit.core.spelling import payloads


def event(name: str, attributes: Any) -> HistoryEvent:
    """An event of the kind that `name` spells as in `timer_fired`."""
    fields: dict[str, Any] = {f"{name}_event_attributes": attributes}
    return HistoryEvent(
        event_type=EventType.Value(f"EVENT_TYPE_{name.upper()}"), **fields
    )


def signal(name: str, *args: object) -> list[HistoryEvent]:
    """A signal arrived."""
    return [
        event(
            "workflow_execution_signaled",
            WorkflowExecutionSignaledEventAttributes(
                signal_name=name, input=payloads(*args), identity="client@there"
            ),
        )
    ]


def options_updated(request_id: str) -> list[HistoryEvent]:
    """A start that found the run open has left its id."""
    updated = event(
        "workflow_execution_options_updated",
        WorkflowExecutionOptionsUpdatedEventAttributes(attached_request_id=request_id),
    )
    updated.worker_may_ignore = True
    return [updated]


def cancel_request(reason: str = "") -> list[HistoryEvent]:
    """Somebody wants the run to end."""
    return [
        event(
            "workflow_execution_cancel_requested",
            WorkflowExecutionCancelRequestedEventAttributes(cause=reason),
        )
    ]


def fired(seq: int, *, started: int) -> list[HistoryEvent]:
    """The timer of event `started` is due."""
    return [
        event(
            "timer_fired",
            TimerFiredEventAttributes(timer_id=str(seq), started_event_id=started),
        )
    ]


def picked_up(scheduled: int) -> HistoryEvent:
    """The last attempt of the activity of event `scheduled` began."""
    return event(
        "activity_task_started",
        ActivityTaskStartedEventAttributes(
            scheduled_event_id=scheduled, identity="worker@here", attempt=1
        ),
    )


def completed(scheduled: int, *result: object) -> list[HistoryEvent]:
    """An activity returned."""
    return [
        picked_up(scheduled),
        event(
            "activity_task_completed",
            ActivityTaskCompletedEventAttributes(
                scheduled_event_id=scheduled,
                result=payloads(*result) if result else None,
                identity="worker@here",
            ),
        ),
    ]


def failed(
    scheduled: int, failure: Failure, state: str = "NON_RETRYABLE_FAILURE"
) -> list[HistoryEvent]:
    """An activity failed for good."""
    return [
        picked_up(scheduled),
        event(
            "activity_task_failed",
            ActivityTaskFailedEventAttributes(
                scheduled_event_id=scheduled,
                failure=failure,
                identity="worker@here",
                retry_state=RetryState.Value(f"RETRY_STATE_{state}"),
            ),
        ),
    ]


def timed_out(
    scheduled: int, failure: Failure, state: str = "TIMEOUT", *, ran: bool = True
) -> list[HistoryEvent]:
    """An activity ran out of time, or was never picked up."""
    last = event(
        "activity_task_timed_out",
        ActivityTaskTimedOutEventAttributes(
            scheduled_event_id=scheduled,
            failure=failure,
            retry_state=RetryState.Value(f"RETRY_STATE_{state}"),
        ),
    )
    return [picked_up(scheduled), last] if ran else [last]


def canceled(scheduled: int, *details: object) -> list[HistoryEvent]:
    """An activity ended because it was asked to."""
    return [
        picked_up(scheduled),
        event(
            "activity_task_canceled",
            ActivityTaskCanceledEventAttributes(
                scheduled_event_id=scheduled,
                details=payloads(*details) if details else None,
                identity="worker@here",
            ),
        ),
    ]


def flat(groups: Sequence[Sequence[HistoryEvent]]) -> list[HistoryEvent]:
    """What happened, one after the other."""
    return [each for group in groups for each in group]
