"""A Nexus operation between its caller and its handler, and how requests name it.

The row of an operation that is not over: the caller's events, and what describe shows
of it, in the protobuf message that shows it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass

from . import clock
from .protos import (
    HistoryEvent,
    NexusOperationScheduledEventAttributes,
    PendingNexusOperationInfo,
    PendingNexusOperationState,
    TimeoutType,
)

SYSTEM_ENDPOINT = "__temporal_system"
"""The service itself, which has no worker."""

SYSTEM_CALLBACK = "temporal://system"
"""Where whoever works on an operation reports its end."""

CALLBACK_HEADER = "temporal-callback-token"
"""In the headers of such a report: which operation has ended."""

OPERATION_HEADER = "nexus-operation-token"
"""In the headers of such a report: the operation's token, if the handler knew it."""

CALL_SECONDS = 10.0
"""How long a handler may take to answer one call."""

FOREVER = 253_370_764_800.0
"""The year 9999 in seconds since 1970: later moments have no protobuf timestamp."""

_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
_TO_START = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
_FROM_START = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
_STARTED = PendingNexusOperationState.PENDING_NEXUS_OPERATION_STATE_STARTED


def operation_key(workflow_uuid: str, scheduled_event_id: int) -> str:
    """The name in the database of the operation that a run's event asked for."""
    return f"{workflow_uuid}/nexus/{scheduled_event_id}"


def request_id(run_id: str, seq: int) -> str:
    """The same id for every call of the same operation.

    Args:
        run_id: of the caller.
        seq: the SDK's number of the operation.
    """
    digest = hashlib.sha256(f"{run_id}/nexus/{seq}".encode()).hexdigest()
    # Shaped as a UUID made from a name, which is what the server's ids look like.
    parts = digest[:8], digest[8:12], f"5{digest[13:16]}", f"8{digest[17:20]}"
    return "-".join((*parts, digest[20:32]))


def callback_token(key: str, request: str) -> str:
    """What a report of an operation's end must show.

    Args:
        key: of the operation.
        request: its request id, which keeps others from guessing the token.
    """
    return base64.urlsafe_b64encode(json.dumps([key, request]).encode()).decode()


def read_callback_token(token: str) -> tuple[str, str] | None:
    """The inverse of `callback_token`; None if it is none."""
    try:
        key, request = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError, TypeError):
        return None
    return str(key), str(request)


@dataclass(slots=True)
class NexusOperation:
    """An operation that is not over."""

    workflow_uuid: str
    """The run that asked for it, or its own ids if it belongs to none."""
    task_queue: str
    """Where its handler is."""
    scheduled: HistoryEvent
    info: PendingNexusOperationInfo
    cancel: HistoryEvent | None = None
    """The event by which the caller asked for its cancellation, if it did."""
    due_at: float | None = None
    """When its handler has to be called, seconds since 1970."""
    call: str | None = None
    """The token of a call that is under way."""

    @property
    def key(self) -> str:
        """Its name in the database."""
        return operation_key(self.workflow_uuid, self.scheduled.event_id)

    @property
    def standalone(self) -> bool:
        """Whether a client asked for it: then no history has its event."""
        return self.scheduled.event_id == 0

    @property
    def wanted(self) -> NexusOperationScheduledEventAttributes:
        """What the caller asked for."""
        return self.scheduled.nexus_operation_scheduled_event_attributes

    @property
    def started(self) -> bool:
        """Whether the handler has begun and will report the end."""
        return self.info.state == _STARTED

    @property
    def expires_at(self) -> float | None:
        """When it is out of time, seconds since 1970."""
        return min((moment for moment, _ in self._limits()), default=None)

    def expired(self, now: float) -> TimeoutType.ValueType | None:
        """The timeout that has passed first, if one has."""
        return next((kind for at, kind in sorted(self._limits()) if at <= now), None)

    def _limits(self) -> list[tuple[float, TimeoutType.ValueType]]:
        begun = clock.seconds(self.scheduled.event_time)
        answered = clock.seconds(self.info.last_attempt_complete_time)
        wanted = self.wanted
        limits = [(begun, wanted.schedule_to_close_timeout, _TO_CLOSE)]
        if self.started:
            limits.append((answered, wanted.start_to_close_timeout, _FROM_START))
        else:
            limits.append((begun, wanted.schedule_to_start_timeout, _TO_START))
        return [
            (min(since + clock.seconds(span), FOREVER), kind)
            for since, span, kind in limits
            if clock.seconds(span) > 0
        ]


def pending(scheduled: HistoryEvent) -> PendingNexusOperationInfo:
    """What describe shows of an operation that was just asked for."""
    wanted = scheduled.nexus_operation_scheduled_event_attributes
    return PendingNexusOperationInfo(
        endpoint=wanted.endpoint,
        service=wanted.service,
        operation=wanted.operation,
        scheduled_event_id=scheduled.event_id,
        scheduled_time=scheduled.event_time,
        state=PendingNexusOperationState.PENDING_NEXUS_OPERATION_STATE_SCHEDULED,
        schedule_to_close_timeout=wanted.schedule_to_close_timeout,
        schedule_to_start_timeout=wanted.schedule_to_start_timeout,
        start_to_close_timeout=wanted.start_to_close_timeout,
    )
