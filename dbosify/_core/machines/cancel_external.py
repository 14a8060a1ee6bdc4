"""A request that another workflow end: sent, then passed on or refused.

Follows core's cancel machine. Core makes one itself when a workflow cancels its child;
nobody waits for the answer to that.
"""

from __future__ import annotations

import enum
from typing import ClassVar

from google.protobuf.message import Message

from dbosify._core.commands import Command, Output
from dbosify._core.fsm import Machine, Table, To
from dbosify._model import failures
from dbosify._model.effects import CancelExternal as CancelEffect
from dbosify._model.protos import (
    CancelExternalWorkflowExecutionFailedCause,
    EventType,
    HistoryEvent,
    WorkflowActivationJob,
)

_CAUSE = CancelExternalWorkflowExecutionFailedCause
_BECAUSE = {
    _CAUSE.CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_UNSPECIFIED: (
        "Unspecified",
        "unknown",
    ),
    _CAUSE.CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND: (  # noqa: E501
        "ExternalWorkflowExecutionNotFound",
        "not found",
    ),
    _CAUSE.CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND: (
        "NamespaceNotFound",
        "not found",
    ),
}
"""The type and the text that core makes of each cause."""


class State(enum.Enum):
    """How far the request got."""

    CREATED = enum.auto()
    SENT = enum.auto()
    OVER = enum.auto()


class Input(enum.Enum):
    """What can happen to the request."""

    RECORDED = enum.auto()
    PASSED_ON = enum.auto()
    REFUSED = enum.auto()


class CancelExternalMachine(Machine):
    """One request of a run that another workflow end.

    Args:
        seq: the SDK's number, or None if core asks and the SDK is not told.
    """

    title: ClassVar[str] = "Cancel external WF"
    opens: ClassVar[EventType.ValueType | None] = (
        EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
    )
    __slots__ = ("opened_by", "seq")

    def __init__(self, seq: int | None) -> None:
        super().__init__(State.CREATED)
        self.seq = seq
        self.opened_by = 0

    def send(self, attributes: Message) -> Command:
        """The command that sends it, with the event's attributes."""
        return Command(
            EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
            "request_cancel_external_workflow_execution_initiated_event_attributes",
            attributes,
            self,
        )

    @property
    def over(self) -> bool:
        """Whether it is answered."""
        return self.state is State.OVER

    def check(self, command: Command, event: HistoryEvent) -> None:
        """See `Recorder.check`; targets are not compared here."""

    def recorded(self, command: Command, event: HistoryEvent, out: Output) -> None:
        """See `Recorder.recorded`."""
        self.fire(Input.RECORDED, event, out)

    def on_event(self, event: HistoryEvent, out: Output) -> None:
        """Take the answer."""
        passed = EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED
        self.fire(
            Input.PASSED_ON if event.event_type == passed else Input.REFUSED,
            event,
            out,
        )

    def _on_sent(self, event: HistoryEvent, out: Output) -> None:
        self.opened_by = event.event_id
        out.effects.append(CancelEffect(event))

    def _on_passed_on(self, event: HistoryEvent, out: Output) -> None:
        self._resolve(WorkflowActivationJob(), out)

    def _on_refused(self, event: HistoryEvent, out: Output) -> None:
        refused = (
            event.request_cancel_external_workflow_execution_failed_event_attributes
        )
        kind, because = _BECAUSE[refused.cause]
        job = WorkflowActivationJob()
        resolution = job.resolve_request_cancel_external_workflow
        resolution.cause = refused.cause
        resolution.failure.CopyFrom(
            failures.application(
                f"Unable to cancel external workflow because {because}", kind=kind
            )
        )
        self._resolve(job, out)

    def _resolve(self, job: WorkflowActivationJob, out: Output) -> None:
        if self.seq is not None:
            job.resolve_request_cancel_external_workflow.seq = self.seq
            out.jobs.append(job)

    table: ClassVar[Table] = {
        State.CREATED: {Input.RECORDED: To(State.SENT, _on_sent)},
        State.SENT: {
            Input.PASSED_ON: To(State.OVER, _on_passed_on),
            Input.REFUSED: To(State.OVER, _on_refused),
        },
        State.OVER: {},
    }
