"""A Nexus operation as the workflow sees it: begun, or over at once, and resolved once.

Follows core's machine. An operation that is over before anybody heard of a beginning is
told of in the answer to its start. One that the workflow does not wait for any longer
is resolved as cancelled at once; where core would then break the run, because the
operation begins or ends nevertheless, the late news is swallowed.
"""

from __future__ import annotations

import enum
from typing import ClassVar

from google.protobuf.message import Message
from temporalio.api.history.v1 import NexusOperationCancelRequestedEventAttributes

from dbosify._core.commands import Command, Output
from dbosify._core.fsm import Machine, Nondeterminism, Table, To
from dbosify._model import failures
from dbosify._model.effects import AskNexusOperation, CancelNexusOperation
from dbosify._model.protos import (
    EventType,
    Failure,
    HistoryEvent,
    NexusOperationCancellationType,
    ScheduleNexusOperation,
    UserMetadata,
    WorkflowActivationJob,
)

_ABANDON = NexusOperationCancellationType.ABANDON
_AT_ONCE = (_ABANDON, NexusOperationCancellationType.TRY_CANCEL)
_REQUESTED = NexusOperationCancellationType.WAIT_CANCELLATION_REQUESTED


class State(enum.Enum):
    """How far the operation got, for the workflow."""

    CREATED = enum.auto()
    SCHEDULED = enum.auto()
    STARTED = enum.auto()
    LET_GO = enum.auto()
    """Resolved as cancelled at once; whatever happens to it later is swallowed."""
    RESOLVED = enum.auto()
    DROPPED = enum.auto()
    """Cancelled in the task that asked for it: the server never hears of it."""


class Input(enum.Enum):
    """What can happen to the operation."""

    RECORDED = enum.auto()
    STARTED = enum.auto()
    CLOSED = enum.auto()
    CANCEL = enum.auto()
    CANCEL_RECORDED = enum.auto()
    CANCEL_ANSWERED = enum.auto()


_NEWS = {
    EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED: Input.STARTED,
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_COMPLETED: (
        Input.CANCEL_ANSWERED
    ),
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_FAILED: Input.CANCEL_ANSWERED,
}


class NexusOperationMachine(Machine):
    """One Nexus operation of a run.

    Args:
        command: that asks for it.
    """

    title: ClassVar[str] = "Nexus operation"
    opens: ClassVar[EventType.ValueType | None] = (
        EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED
    )
    __slots__ = (
        "awaits_answer",
        "cancel_sent",
        "command",
        "opened_by",
        "scheduled",
        "token",
    )

    def __init__(self, command: ScheduleNexusOperation) -> None:
        super().__init__(State.CREATED)
        self.command = command
        self.scheduled: Command | None = None
        self.opened_by = 0
        self.token = ""
        self.cancel_sent = False
        self.awaits_answer = False
        """Whether a request to cancel it is on its way."""

    def schedule(self, attributes: Message, metadata: UserMetadata | None) -> Command:
        """The command that asks for it, with the event's attributes."""
        self.scheduled = Command(
            EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED,
            "nexus_operation_scheduled_event_attributes",
            attributes,
            self,
            metadata,
        )
        return self.scheduled

    @property
    def over(self) -> bool:
        """Whether nothing can happen to it any more."""
        ended = self.state in (State.RESOLVED, State.DROPPED)
        return ended and not self.awaits_answer

    def check(self, command: Command, event: HistoryEvent) -> None:
        """See `Recorder.check`; neither endpoint nor input is compared."""
        if command is not self.scheduled:
            return
        recorded = event.nexus_operation_scheduled_event_attributes
        if recorded.service != self.command.service:
            raise Nondeterminism(
                f"Nexus operation service of scheduled event '{recorded.service}' does"
                f" not match service of command '{self.command.service}'"
            )
        if recorded.operation != self.command.operation:
            raise Nondeterminism(
                f"Nexus operation of scheduled event '{recorded.operation}' does not"
                f" match operation of command '{self.command.operation}'"
            )

    def recorded(self, command: Command, event: HistoryEvent, out: Output) -> None:
        """See `Recorder.recorded`."""
        if command is self.scheduled:
            self.fire(Input.RECORDED, event, out)
        else:
            self.fire(Input.CANCEL_RECORDED, event, out)

    def on_event(self, event: HistoryEvent, out: Output) -> None:
        """Take an event about the operation."""
        self.fire(_NEWS.get(event.event_type, Input.CLOSED), event, out)

    def cancel(self, out: Output) -> None:
        """Take the workflow's wish to cancel."""
        self.fire(Input.CANCEL, out)

    def _on_recorded(self, event: HistoryEvent, out: Output) -> None:
        self.opened_by = event.event_id
        out.effects.append(AskNexusOperation(event))

    def _on_started(self, event: HistoryEvent, out: Output) -> None:
        attributes = event.nexus_operation_started_event_attributes
        self.token = attributes.operation_token
        job = self._begun(out)
        job.resolve_nexus_operation_start.operation_token = self.token

    def _on_over_before_start(self, event: HistoryEvent, out: Output) -> None:
        job = self._begun(out)
        if event.event_type == EventType.EVENT_TYPE_NEXUS_OPERATION_COMPLETED:
            job.resolve_nexus_operation_start.started_sync = True
            self._on_over(event, out)
        else:
            failure = _failure_of(event)
            job.resolve_nexus_operation_start.failed.CopyFrom(failure)

    def _on_over(self, event: HistoryEvent, out: Output) -> None:
        job = self._ended(out)
        result = job.resolve_nexus_operation.result
        match event.event_type:
            case EventType.EVENT_TYPE_NEXUS_OPERATION_COMPLETED:
                completed = event.nexus_operation_completed_event_attributes
                result.completed.CopyFrom(completed.result)
            case EventType.EVENT_TYPE_NEXUS_OPERATION_FAILED:
                result.failed.CopyFrom(_failure_of(event))
            case EventType.EVENT_TYPE_NEXUS_OPERATION_TIMED_OUT:
                result.timed_out.CopyFrom(_failure_of(event))
            case _:
                result.cancelled.CopyFrom(_failure_of(event))

    def _on_cancel_unsent(self, out: Output) -> None:
        assert self.scheduled is not None, "only what is asked for is cancelled"
        self.scheduled.dropped = True
        job = self._begun(out)
        job.resolve_nexus_operation_start.failed.CopyFrom(
            self._cancelled("Nexus Operation cancelled before scheduled")
        )

    def _on_cancel(self, out: Output) -> None:
        if self.cancel_sent:
            return
        self.cancel_sent = True
        kind = self.command.cancellation_type
        if kind != _ABANDON:
            out.commands.append(
                Command(
                    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUESTED,
                    "nexus_operation_cancel_requested_event_attributes",
                    NexusOperationCancelRequestedEventAttributes(
                        scheduled_event_id=self.opened_by
                    ),
                    self,
                )
            )
        if kind in _AT_ONCE:
            self._let_go("Nexus operation cancelled after starting", out)

    def _on_cancel_recorded(self, event: HistoryEvent, out: Output) -> None:
        self.awaits_answer = True
        out.effects.append(CancelNexusOperation(event))

    def _on_cancel_answered(self, event: HistoryEvent, out: Output) -> None:
        self.awaits_answer = False
        if self.command.cancellation_type != _REQUESTED:
            return
        refused = EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_FAILED
        if event.event_type == refused:
            self.state = State.LET_GO
            attributes = event.nexus_operation_cancel_request_failed_event_attributes
            failure = self._failure(
                "Nexus operation cancellation request failed", attributes.failure
            )
            self._ended(out).resolve_nexus_operation.result.failed.CopyFrom(failure)
        else:
            self._let_go("Nexus operation cancellation request completed", out)

    def _on_late_answer(self, event: HistoryEvent, out: Output) -> None:
        self.awaits_answer = False

    def _let_go(self, message: str, out: Output) -> None:
        self.state = State.LET_GO
        result = self._ended(out).resolve_nexus_operation.result
        result.cancelled.CopyFrom(self._cancelled(message))

    def _begun(self, out: Output) -> WorkflowActivationJob:
        job = WorkflowActivationJob()
        job.resolve_nexus_operation_start.seq = self.command.seq
        out.jobs.append(job)
        return job

    def _ended(self, out: Output) -> WorkflowActivationJob:
        job = WorkflowActivationJob()
        job.resolve_nexus_operation.seq = self.command.seq
        out.jobs.append(job)
        return job

    def _cancelled(self, message: str) -> Failure:
        return self._failure(message, failures.canceled())

    def _failure(self, message: str, cause: Failure) -> Failure:
        return failures.nexus_operation(
            message,
            scheduled_event_id=self.opened_by,
            endpoint=self.command.endpoint,
            service=self.command.service,
            operation=self.command.operation,
            token=self.token,
            cause=cause,
        )

    table: ClassVar[Table] = {
        State.CREATED: {
            Input.RECORDED: To(State.SCHEDULED, _on_recorded),
            Input.CANCEL: To(State.DROPPED, _on_cancel_unsent),
        },
        State.SCHEDULED: {
            Input.STARTED: To(State.STARTED, _on_started),
            Input.CLOSED: To(State.RESOLVED, _on_over_before_start),
            Input.CANCEL: To(State.SCHEDULED, _on_cancel),
            Input.CANCEL_RECORDED: To(State.SCHEDULED, _on_cancel_recorded),
        },
        State.STARTED: {
            Input.CLOSED: To(State.RESOLVED, _on_over),
            Input.CANCEL: To(State.STARTED, _on_cancel),
            Input.CANCEL_RECORDED: To(State.STARTED, _on_cancel_recorded),
            Input.CANCEL_ANSWERED: To(State.STARTED, _on_cancel_answered),
        },
        State.LET_GO: {
            Input.STARTED: To(State.LET_GO),
            Input.CLOSED: To(State.RESOLVED),
            Input.CANCEL: To(State.LET_GO),
            Input.CANCEL_RECORDED: To(State.LET_GO, _on_cancel_recorded),
            Input.CANCEL_ANSWERED: To(State.LET_GO, _on_late_answer),
        },
        State.RESOLVED: {
            Input.CANCEL: To(State.RESOLVED),
            # The answer may be slower than the end that it led to.
            Input.CANCEL_ANSWERED: To(State.RESOLVED, _on_late_answer),
        },
        State.DROPPED: {Input.CANCEL: To(State.DROPPED)},
    }


def _failure_of(event: HistoryEvent) -> Failure:
    attributes = getattr(event, event.WhichOneof("attributes") or "")
    failure: Failure = attributes.failure
    return failure
