"""Nexus operations that clients start: how one is over, from what its calls came to.

The calls say it in events, as to a workflow; an operation of a client has no history,
so what the events say becomes a status and an outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import NexusOperationExecutionStatus
from temporalio.api.workflowservice.v1 import PollNexusOperationExecutionResponse

from .protos import EventType, Failure, HistoryEvent, Link

_STATUS = NexusOperationExecutionStatus
RUNNING = int(_STATUS.NEXUS_OPERATION_EXECUTION_STATUS_RUNNING)
COMPLETED = int(_STATUS.NEXUS_OPERATION_EXECUTION_STATUS_COMPLETED)
FAILED = int(_STATUS.NEXUS_OPERATION_EXECUTION_STATUS_FAILED)
CANCELED = int(_STATUS.NEXUS_OPERATION_EXECUTION_STATUS_CANCELED)
TERMINATED = int(_STATUS.NEXUS_OPERATION_EXECUTION_STATUS_TERMINATED)
TIMED_OUT = int(_STATUS.NEXUS_OPERATION_EXECUTION_STATUS_TIMED_OUT)

NAMES: Mapping[int, str] = {
    RUNNING: "Running",
    COMPLETED: "Completed",
    FAILED: "Failed",
    CANCELED: "Canceled",
    TERMINATED: "Terminated",
    TIMED_OUT: "TimedOut",
}
"""What filters call a status."""

STATES: Mapping[int, str] = {**NAMES, COMPLETED: "Succeeded"}
"""What errors call it."""

_ENDS: Mapping[EventType.ValueType, tuple[int, str]] = {
    EventType.EVENT_TYPE_NEXUS_OPERATION_FAILED: (FAILED, "failed"),
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCELED: (CANCELED, "canceled"),
    EventType.EVENT_TYPE_NEXUS_OPERATION_TIMED_OUT: (TIMED_OUT, "timed_out"),
}


@dataclass(frozen=True, slots=True)
class News:
    """What has become of an operation."""

    status: int | None = None
    """None while it is open."""
    outcome: PollNexusOperationExecutionResponse | None = None
    """Its result or failure, as clients that wait for it get it."""
    links: list[Link] = field(default_factory=list)
    """To what works on it."""


def news_of(events: Iterable[HistoryEvent]) -> News:
    """What the events of an operation's calls say."""
    status, outcome, links = None, None, list[Link]()
    for event in events:
        links.extend(event.links)
        if event.event_type == EventType.EVENT_TYPE_NEXUS_OPERATION_COMPLETED:
            completed = event.nexus_operation_completed_event_attributes
            status = COMPLETED
            outcome = PollNexusOperationExecutionResponse(result=completed.result)
        elif event.event_type in _ENDS:
            status, name = _ENDS[event.event_type]
            attributes = getattr(event, f"nexus_operation_{name}_event_attributes")
            # What a workflow is told around the cause names an event that is not there.
            cause = attributes.failure.cause
            outcome = PollNexusOperationExecutionResponse(failure=cause)
    return News(status, outcome, links)


def terminated(reason: str, identity: str) -> News:
    """What becomes of an operation that somebody ends."""
    failure = Failure(message=reason)
    failure.terminated_failure_info.identity = identity
    return News(TERMINATED, PollNexusOperationExecutionResponse(failure=failure))
