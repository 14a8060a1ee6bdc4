"""The calls of a Nexus operation's handler, decided as Temporal's server decides them.

A handler is called until it answers the start, and again to ask it for cancellation,
with growing pauses after errors that may pass. What the caller is told of it comes out
as events; who the handler is, or whether one is there at all, is not known here.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import ClassVar

from google.protobuf.message import Message

from dbosify._core.fsm import Machine, Table, To
from dbosify._model import clock, failures, nexus_links
from dbosify._model.nexus import NexusOperation
from dbosify._model.protos import (
    EventType,
    Failure,
    HistoryEvent,
    Link,
    NexusHandlerErrorRetryBehavior,
    NexusOperationCancellationState,
    NexusResponse,
    Payload,
    PendingNexusOperationState,
)

_FINAL = frozenset(
    {
        "BAD_REQUEST",
        "UNAUTHENTICATED",
        "UNAUTHORIZED",
        "NOT_FOUND",
        "CONFLICT",
        "NOT_IMPLEMENTED",
    }
)
"""Handler errors that no further call would mend."""

_CANCEL = NexusOperationCancellationState
_LONGEST_PAUSE = 3600.0
"""Seconds between two calls, at most."""

_TEXT = "nexus operation completed unsuccessfully"
_UNANSWERED = "upstream timeout"


class State(enum.Enum):
    """What the handler has said."""

    SCHEDULED = enum.auto()
    """Nothing yet."""
    STARTED = enum.auto()
    """That it has begun and will report the end."""
    OVER = enum.auto()


class Input(enum.Enum):
    """What can happen to the operation."""

    BEGAN = enum.auto()
    """The handler answers that it has begun."""
    ENDED = enum.auto()
    """The operation has ended, in whichever way."""
    FAILED_FOR_NOW = enum.auto()
    """A call failed, and the next one may not."""
    CANCEL = enum.auto()
    """The caller asks for cancellation."""
    CANCEL_ANSWERED = enum.auto()
    """The handler has answered that, for good."""


class NexusCallMachine(Machine):
    """The calls of one operation; it changes the operation that it is given.

    Args:
        operation: as stored.
    """

    title: ClassVar[str] = "Nexus call"
    __slots__ = ("news", "operation")

    def __init__(self, operation: NexusOperation) -> None:
        super().__init__(State.STARTED if operation.started else State.SCHEDULED)
        self.operation = operation
        self.news: list[HistoryEvent] = []
        """What the caller has to be told."""

    @property
    def over(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.state is State.OVER

    # What happens.

    def answer(self, now: float, response: NexusResponse | Failure) -> None:
        """Take the handler's answer to the call that is under way.

        Args:
            now: seconds since 1970.
            response: what it says, or how it failed.
        """
        self.operation.call = None
        if self.state is State.SCHEDULED:
            self.operation.info.attempt += 1
        if isinstance(response, Failure):
            self._raised(now, response)
        elif self.state is State.STARTED:
            self.fire(Input.CANCEL_ANSWERED, now, None)
        else:
            self._answered(now, response)

    def unanswered(self, now: float) -> None:
        """The call that was under way has not been answered in time."""
        failure = Failure(message=_UNANSWERED)
        failure.nexus_handler_failure_info.type = "UPSTREAM_TIMEOUT"
        self.answer(now, failure)

    def report(
        self,
        now: float,
        outcome: Payload | Failure | None,
        *,
        token: str = "",
        links: Iterable[Link] = (),
    ) -> None:
        """Take the report of the end from whoever worked on it.

        Args:
            now: seconds since 1970.
            outcome: its result, or how it failed.
            token: the operation's, if the reporter knows it.
            links: from the caller's history to what worked on it.
        """
        if self.state is State.SCHEDULED:
            # Faster than the handler's own answer, which is not needed any more.
            self.fire(Input.BEGAN, now, token, links)
        self._end(now, outcome)

    def ask_cancel(self, now: float, event: HistoryEvent) -> None:
        """Take the caller's wish to cancel."""
        self.fire(Input.CANCEL, now, event)

    def expire(self, now: float) -> bool:
        """End it if it is out of time; returns whether it was."""
        kind = self.operation.expired(now)
        if kind is None:
            return False
        cause = Failure(message="operation timed out")
        cause.timeout_failure_info.timeout_type = kind
        self.fire(
            Input.ENDED,
            now,
            EventType.EVENT_TYPE_NEXUS_OPERATION_TIMED_OUT,
            self._wrapped(cause),
            (),
        )
        return True

    def conclude(
        self,
        now: float,
        outcome: Payload | Failure | None,
        links: Iterable[Link] = (),
    ) -> None:
        """End it without a call of any handler."""
        self._end(now, outcome, links)

    # How it is read.

    def _answered(self, now: float, response: NexusResponse) -> None:
        start = response.start_operation
        match start.WhichOneof("variant"):
            case "async_success":
                links = nexus_links.for_history(start.async_success.links)
                token = start.async_success.operation_token
                self.fire(Input.BEGAN, now, token, links)
            case "failure":
                _note(self.operation.info, now, start.failure)
                self._end(now, start.failure)
            case _:
                links = nexus_links.for_history(start.sync_success.links)
                self._end(now, start.sync_success.payload, links)

    def _raised(self, now: float, failure: Failure) -> None:
        if _may_pass(failure):
            self.fire(Input.FAILED_FOR_NOW, now, failure)
        elif self.state is State.STARTED:
            self.fire(Input.CANCEL_ANSWERED, now, failure)
        else:
            _note(self.operation.info, now, failure)
            self._end(now, failure)

    def _end(
        self,
        now: float,
        outcome: Payload | Failure | None,
        links: Iterable[Link] = (),
    ) -> None:
        if not isinstance(outcome, Failure):
            kind = EventType.EVENT_TYPE_NEXUS_OPERATION_COMPLETED
            self.fire(Input.ENDED, now, kind, outcome, links)
            return
        kind = EventType.EVENT_TYPE_NEXUS_OPERATION_FAILED
        if outcome.HasField("canceled_failure_info"):
            kind = EventType.EVENT_TYPE_NEXUS_OPERATION_CANCELED
        self.fire(Input.ENDED, now, kind, self._wrapped(outcome), links)

    def _wrapped(self, cause: Failure) -> Failure:
        wanted = self.operation.wanted
        return failures.nexus_operation(
            _TEXT,
            scheduled_event_id=self.operation.scheduled.event_id,
            endpoint=wanted.endpoint,
            service=wanted.service,
            operation=wanted.operation,
            token=self.operation.info.operation_token,
            cause=cause,
        )

    # What follows.

    def _on_began(self, now: float, token: str, links: Iterable[Link]) -> None:
        operation = self.operation
        info = operation.info
        info.attempt = max(info.attempt, 1)
        info.state = PendingNexusOperationState.PENDING_NEXUS_OPERATION_STATE_STARTED
        info.operation_token = token
        info.last_attempt_complete_time.CopyFrom(clock.of_seconds(now))
        info.ClearField("last_attempt_failure")
        info.ClearField("next_attempt_schedule_time")
        operation.due_at = None if operation.cancel is None else now
        event = self._news(EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED, now, links)
        attributes = event.nexus_operation_started_event_attributes
        attributes.scheduled_event_id = operation.scheduled.event_id
        attributes.operation_token = attributes.operation_id = token
        attributes.request_id = operation.wanted.request_id

    def _on_ended(
        self,
        now: float,
        kind: EventType.ValueType,
        outcome: Payload | Failure | None,
        links: Iterable[Link],
    ) -> None:
        operation = self.operation
        operation.due_at = None
        event = self._news(kind, now, links)
        name = EventType.Name(kind).removeprefix("EVENT_TYPE_").lower()
        attributes = getattr(event, f"{name}_event_attributes")
        attributes.scheduled_event_id = operation.scheduled.event_id
        attributes.request_id = operation.wanted.request_id
        field = "failure" if isinstance(outcome, Failure) else "result"
        said: Message = outcome if outcome is not None else Payload()
        getattr(attributes, field).CopyFrom(said)

    def _on_failed_start(self, now: float, failure: Failure) -> None:
        info = self.operation.info
        info.state = (
            PendingNexusOperationState.PENDING_NEXUS_OPERATION_STATE_BACKING_OFF
        )
        self._pause(now, info, failure)

    def _on_failed_cancel(self, now: float, failure: Failure) -> None:
        asked = self.operation.info.cancellation_info
        asked.attempt += 1
        asked.state = _CANCEL.NEXUS_OPERATION_CANCELLATION_STATE_BACKING_OFF
        self._pause(now, asked, failure)

    def _pause(self, now: float, shown: Message, failure: Failure) -> None:
        """Note a call that failed, and when the next one comes."""
        due_at = now + pause_after(shown.attempt)  # type: ignore[attr-defined]
        self.operation.due_at = due_at
        _note(shown, now, failure)
        shown.next_attempt_schedule_time.CopyFrom(  # type: ignore[attr-defined]
            clock.of_seconds(due_at)
        )

    def _on_cancel(self, now: float, event: HistoryEvent) -> None:
        operation = self.operation
        operation.cancel = event
        asked = operation.info.cancellation_info
        asked.requested_time.CopyFrom(event.event_time)
        asked.state = _CANCEL.NEXUS_OPERATION_CANCELLATION_STATE_SCHEDULED
        if self.state is State.STARTED:
            operation.due_at = now

    def _on_cancel_answered(self, now: float, failure: Failure | None) -> None:
        operation = self.operation
        operation.due_at = None
        asked, cancel = operation.info.cancellation_info, operation.cancel
        assert cancel is not None, "the handler was asked"
        asked.attempt += 1
        _note(asked, now, failure)
        if failure is None:
            asked.state = _CANCEL.NEXUS_OPERATION_CANCELLATION_STATE_SUCCEEDED
            kind = EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_COMPLETED
        else:
            asked.state = _CANCEL.NEXUS_OPERATION_CANCELLATION_STATE_FAILED
            kind = EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_FAILED
        event = self._news(kind, now, ())
        event.worker_may_ignore = True
        name = EventType.Name(kind).removeprefix("EVENT_TYPE_").lower()
        attributes = getattr(event, f"{name}_event_attributes")
        requested = cancel.nexus_operation_cancel_requested_event_attributes
        attributes.requested_event_id = cancel.event_id
        attributes.scheduled_event_id = requested.scheduled_event_id
        attributes.workflow_task_completed_event_id = (
            requested.workflow_task_completed_event_id
        )
        if failure is not None:
            attributes.failure.CopyFrom(failure)

    def _news(
        self, kind: EventType.ValueType, now: float, links: Iterable[Link]
    ) -> HistoryEvent:
        event = HistoryEvent(
            event_type=kind, event_time=clock.of_seconds(now), links=links
        )
        self.news.append(event)
        return event

    table: ClassVar[Table] = {
        State.SCHEDULED: {
            Input.BEGAN: To(State.STARTED, _on_began),
            Input.ENDED: To(State.OVER, _on_ended),
            Input.FAILED_FOR_NOW: To(State.SCHEDULED, _on_failed_start),
            Input.CANCEL: To(State.SCHEDULED, _on_cancel),
        },
        State.STARTED: {
            Input.ENDED: To(State.OVER, _on_ended),
            Input.FAILED_FOR_NOW: To(State.STARTED, _on_failed_cancel),
            Input.CANCEL: To(State.STARTED, _on_cancel),
            Input.CANCEL_ANSWERED: To(State.STARTED, _on_cancel_answered),
        },
        State.OVER: {},
    }


def pause_after(attempt: int) -> float:
    """Seconds between a call that failed, the `attempt`-th, and the next."""
    return min(2.0 ** min(attempt - 1, 30), _LONGEST_PAUSE)


def _note(shown: Message, now: float, failure: Failure | None) -> None:
    """Show in `shown` that a call has ended."""
    shown.last_attempt_complete_time.CopyFrom(clock.of_seconds(now))  # type: ignore[attr-defined]
    shown.ClearField("next_attempt_schedule_time")
    shown.ClearField("last_attempt_failure")
    if failure is not None:
        shown.last_attempt_failure.CopyFrom(failure)  # type: ignore[attr-defined]


def _may_pass(failure: Failure) -> bool:
    """Whether a handler's error may pass; its own word counts before its type."""
    info = failure.nexus_handler_failure_info
    says = NexusHandlerErrorRetryBehavior
    if info.retry_behavior == says.NEXUS_HANDLER_ERROR_RETRY_BEHAVIOR_RETRYABLE:
        return True
    if info.retry_behavior == says.NEXUS_HANDLER_ERROR_RETRY_BEHAVIOR_NON_RETRYABLE:
        return False
    return info.type not in _FINAL
