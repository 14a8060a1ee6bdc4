"""A signal to another workflow: sent, then delivered or refused.

Follows core's signal machine. Cancelled in the task that gave it, it leaves no trace;
cancelled later, it goes its way.
"""

from __future__ import annotations

import enum
from typing import ClassVar

from google.protobuf.message import Message

from dbosify._core.commands import Command, Output
from dbosify._core.fsm import Machine, Table, To
from dbosify._model import failures
from dbosify._model.effects import SignalExternal as SignalEffect
from dbosify._model.protos import (
    EventType,
    Failure,
    HistoryEvent,
    SignalExternalWorkflowExecutionFailedCause,
    WorkflowActivationJob,
)

_CAUSE = SignalExternalWorkflowExecutionFailedCause
_BECAUSE = {
    _CAUSE.SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_UNSPECIFIED: (
        "Unspecified",
        "unknown",
    ),
    _CAUSE.SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND: (  # noqa: E501
        "ExternalWorkflowExecutionNotFound",
        "it was not found",
    ),
    _CAUSE.SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND: (
        "NamespaceNotFound",
        "it was not found",
    ),
    _CAUSE.SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_SIGNAL_COUNT_LIMIT_EXCEEDED: (  # noqa: E501
        "SignalCountLimitExceeded",
        "The per-workflow signal limit was exceeded",
    ),
}
"""The type and the text that core makes of each cause."""


class State(enum.Enum):
    """How far the signal got."""

    CREATED = enum.auto()
    SENT = enum.auto()
    OVER = enum.auto()


class Input(enum.Enum):
    """What can happen to the signal."""

    RECORDED = enum.auto()
    DELIVERED = enum.auto()
    REFUSED = enum.auto()
    CANCEL = enum.auto()


class SignalExternalMachine(Machine):
    """One signal of a run to another workflow."""

    title: ClassVar[str] = "Signal external WF"
    opens: ClassVar[EventType.ValueType | None] = (
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
    )
    __slots__ = ("opened_by", "sent", "seq")

    def __init__(self, seq: int) -> None:
        super().__init__(State.CREATED)
        self.seq = seq
        self.opened_by = 0
        self.sent: Command | None = None

    def send(self, attributes: Message) -> Command:
        """The command that sends it, with the event's attributes."""
        self.sent = Command(
            EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
            "signal_external_workflow_execution_initiated_event_attributes",
            attributes,
            self,
        )
        return self.sent

    @property
    def over(self) -> bool:
        """Whether it is delivered, refused or cancelled."""
        return self.state is State.OVER

    def check(self, command: Command, event: HistoryEvent) -> None:
        """See `Recorder.check`; names and targets are not compared here."""

    def recorded(self, command: Command, event: HistoryEvent, out: Output) -> None:
        """See `Recorder.recorded`."""
        self.fire(Input.RECORDED, event, out)

    def on_event(self, event: HistoryEvent, out: Output) -> None:
        """Take the answer."""
        delivered = EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED
        self.fire(
            Input.DELIVERED if event.event_type == delivered else Input.REFUSED,
            event,
            out,
        )

    def cancel(self, out: Output) -> None:
        """Take the workflow's wish to cancel."""
        self.fire(Input.CANCEL, out)

    def _on_sent(self, event: HistoryEvent, out: Output) -> None:
        self.opened_by = event.event_id
        out.effects.append(SignalEffect(event))

    def _on_delivered(self, event: HistoryEvent, out: Output) -> None:
        self._resolve(out)

    def _on_refused(self, event: HistoryEvent, out: Output) -> None:
        refused = event.signal_external_workflow_execution_failed_event_attributes
        kind, because = _BECAUSE[refused.cause]
        self._resolve(
            out,
            failures.application(
                f"Unable to signal external workflow because {because}", kind=kind
            ),
            refused.cause,
        )

    def _on_cancel_unsent(self, out: Output) -> None:
        assert self.sent is not None, "only a signal that is sent is cancelled"
        self.sent.dropped = True
        failure = failures.canceled()
        failure.message = "Signal was cancelled before being sent"
        self._resolve(out, failure)

    def _resolve(
        self,
        out: Output,
        failure: Failure | None = None,
        cause: SignalExternalWorkflowExecutionFailedCause.ValueType | None = None,
    ) -> None:
        job = WorkflowActivationJob()
        job.resolve_signal_external_workflow.seq = self.seq
        if failure is not None:
            job.resolve_signal_external_workflow.failure.CopyFrom(failure)
        if cause is not None:
            job.resolve_signal_external_workflow.cause = cause
        out.jobs.append(job)

    table: ClassVar[Table] = {
        State.CREATED: {
            Input.RECORDED: To(State.SENT, _on_sent),
            Input.CANCEL: To(State.OVER, _on_cancel_unsent),
        },
        State.SENT: {
            Input.DELIVERED: To(State.OVER, _on_delivered),
            Input.REFUSED: To(State.OVER, _on_refused),
            Input.CANCEL: To(State.SENT),
        },
        State.OVER: {Input.CANCEL: To(State.OVER)},
    }
