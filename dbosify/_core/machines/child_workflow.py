"""A child workflow as its parent sees it: started or refused, then resolved once.

Follows core's child machine. Which of the two jobs a cancellation resolves depends on
how far the child got: before its start is sent, the start; later, the result. Where
core would break a run whose child was cancelled with ABANDON or TRY_CANCEL, the child's
true outcome is swallowed, as core does for most of them.
"""

from __future__ import annotations

import enum
from typing import ClassVar

from google.protobuf.message import Message

from dbosify._core.commands import Command, Output
from dbosify._core.fsm import Machine, Nondeterminism, Table, To
from dbosify._model import failures
from dbosify._model.effects import StartChild as StartEffect
from dbosify._model.protos import (
    ChildWorkflowCancellationType,
    ChildWorkflowResult,
    EventType,
    Failure,
    HistoryEvent,
    RetryState,
    StartChildWorkflowExecution,
    UserMetadata,
    WorkflowActivationJob,
    WorkflowExecutionStartedEventAttributes,
)

_ABANDON = ChildWorkflowCancellationType.ABANDON
_AT_ONCE = (_ABANDON, ChildWorkflowCancellationType.TRY_CANCEL)
_NO_MORE = RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE


class State(enum.Enum):
    """How far the child got, for the workflow."""

    CREATED = enum.auto()
    INITIATED = enum.auto()
    STARTED = enum.auto()
    LET_GO = enum.auto()
    """Resolved as cancelled at once; whatever happens to it later is swallowed."""
    RESOLVED = enum.auto()
    DROPPED = enum.auto()
    """Cancelled in the task that started it: the server never hears of it."""


class Input(enum.Enum):
    """What can happen to the child."""

    RECORDED = enum.auto()
    STARTED = enum.auto()
    REFUSED = enum.auto()
    CLOSED = enum.auto()
    CANCEL = enum.auto()


class ChildWorkflowMachine(Machine):
    """One child workflow of a run.

    Args:
        command: that starts it.
        started: the first attributes of the child itself.
    """

    title: ClassVar[str] = "Child workflow"
    opens: ClassVar[EventType.ValueType | None] = (
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
    )
    __slots__ = (
        "command",
        "initiated",
        "opened_by",
        "run_id",
        "started",
        "started_event_id",
    )

    def __init__(
        self,
        command: StartChildWorkflowExecution,
        started: WorkflowExecutionStartedEventAttributes,
    ) -> None:
        super().__init__(State.CREATED)
        self.command = command
        self.started = started
        self.initiated: Command | None = None
        self.opened_by = 0
        self.started_event_id = 0
        self.run_id = ""

    def start(self, attributes: Message, metadata: UserMetadata | None) -> Command:
        """The command that starts it, with the event's attributes."""
        self.initiated = Command(
            EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
            "start_child_workflow_execution_initiated_event_attributes",
            attributes,
            self,
            metadata,
        )
        return self.initiated

    @property
    def over(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.state in (State.RESOLVED, State.DROPPED)

    @property
    def unsent(self) -> bool:
        """Whether the current task is the one that starts it."""
        return self.state is State.CREATED

    def check(self, command: Command, event: HistoryEvent) -> None:
        """See `Recorder.check`."""
        recorded = event.start_child_workflow_execution_initiated_event_attributes
        if recorded.workflow_id != self.command.workflow_id:
            raise Nondeterminism(
                f"Child workflow id of scheduled event '{recorded.workflow_id}' does"
                " not match child workflow id of command"
                f" '{self.command.workflow_id}'"
            )
        if recorded.workflow_type.name != self.command.workflow_type:
            raise Nondeterminism(
                "Child workflow type of scheduled event"
                f" '{recorded.workflow_type.name}' does not match child workflow type"
                f" of command '{self.command.workflow_type}'"
            )

    def recorded(self, command: Command, event: HistoryEvent, out: Output) -> None:
        """See `Recorder.recorded`."""
        self.fire(Input.RECORDED, event, out)

    def on_event(self, event: HistoryEvent, out: Output) -> None:
        """Take an event about the child."""
        match event.event_type:
            case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
                self.fire(Input.STARTED, event, out)
            case EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED:
                self.fire(Input.REFUSED, event, out)
            case _:
                self.fire(Input.CLOSED, event, out)

    def cancel(self, reason: str, out: Output) -> bool:
        """Take the workflow's wish to cancel.

        Returns:
            Whether the child has to be asked to end.
        """
        asks = self.state in (State.INITIATED, State.STARTED) and (
            self.command.cancellation_type != _ABANDON
        )
        self.fire(Input.CANCEL, reason, out)
        return asks

    def _on_initiated(self, event: HistoryEvent, out: Output) -> None:
        self.opened_by = event.event_id
        self.started.parent_initiated_event_id = event.event_id
        out.effects.append(StartEffect(event, self.started))

    def _on_started(self, event: HistoryEvent, out: Output) -> None:
        self._note_start(event, out)
        job = WorkflowActivationJob()
        job.resolve_child_workflow_execution_start.seq = self.command.seq
        job.resolve_child_workflow_execution_start.succeeded.run_id = self.run_id
        out.jobs.append(job)

    def _note_start(self, event: HistoryEvent, out: Output) -> None:
        attributes = event.child_workflow_execution_started_event_attributes
        self.started_event_id = event.event_id
        self.run_id = attributes.workflow_execution.run_id

    def _on_refused(self, event: HistoryEvent, out: Output) -> None:
        refused = event.start_child_workflow_execution_failed_event_attributes
        job = WorkflowActivationJob()
        resolution = job.resolve_child_workflow_execution_start
        resolution.seq = self.command.seq
        resolution.failed.workflow_id = self.command.workflow_id
        resolution.failed.workflow_type = self.command.workflow_type
        resolution.failed.cause = refused.cause  # type: ignore[assignment]
        out.jobs.append(job)

    def _on_closed(self, event: HistoryEvent, out: Output) -> None:
        self._resolve(_result(self, event), out)

    def _on_cancel_unsent(self, reason: str, out: Output) -> None:
        assert self.initiated is not None, "only a child that is started is cancelled"
        self.initiated.dropped = True
        job = WorkflowActivationJob()
        resolution = job.resolve_child_workflow_execution_start
        resolution.seq = self.command.seq
        resolution.cancelled.failure.CopyFrom(
            _failure(
                self,
                f"Child Workflow Execution cancelled before scheduled: {reason}",
                failures.canceled(),
                _NO_MORE,
            )
        )
        out.jobs.append(job)

    def _on_cancel(self, reason: str, out: Output) -> None:
        if self.command.cancellation_type in _AT_ONCE:
            self.state = State.LET_GO
            self._resolve(_cancelled(self), out)

    def _resolve(self, result: ChildWorkflowResult, out: Output) -> None:
        job = WorkflowActivationJob()
        job.resolve_child_workflow_execution.seq = self.command.seq
        job.resolve_child_workflow_execution.result.CopyFrom(result)
        out.jobs.append(job)

    table: ClassVar[Table] = {
        State.CREATED: {
            Input.RECORDED: To(State.INITIATED, _on_initiated),
            Input.CANCEL: To(State.DROPPED, _on_cancel_unsent),
        },
        State.INITIATED: {
            Input.STARTED: To(State.STARTED, _on_started),
            Input.REFUSED: To(State.RESOLVED, _on_refused),
            Input.CANCEL: To(State.INITIATED, _on_cancel),
        },
        State.STARTED: {
            Input.CLOSED: To(State.RESOLVED, _on_closed),
            Input.CANCEL: To(State.STARTED, _on_cancel),
        },
        State.LET_GO: {
            Input.STARTED: To(State.LET_GO, _note_start),
            Input.REFUSED: To(State.RESOLVED),
            Input.CLOSED: To(State.RESOLVED),
            Input.CANCEL: To(State.LET_GO),
        },
        State.RESOLVED: {Input.CANCEL: To(State.RESOLVED)},
        State.DROPPED: {Input.CANCEL: To(State.DROPPED)},
    }


def _result(machine: ChildWorkflowMachine, event: HistoryEvent) -> ChildWorkflowResult:
    result = ChildWorkflowResult()
    match event.event_type:
        case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED:
            completed = event.child_workflow_execution_completed_event_attributes
            result.completed.SetInParent()
            if completed.result.payloads:
                result.completed.result.CopyFrom(completed.result.payloads[0])
        case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED:
            failed = event.child_workflow_execution_failed_event_attributes
            result.failed.failure.CopyFrom(
                _failure(
                    machine,
                    "Child Workflow execution failed",
                    failed.failure,
                    failed.retry_state,
                )
            )
        case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT:
            timed_out = event.child_workflow_execution_timed_out_event_attributes
            result.failed.failure.CopyFrom(
                _failure(
                    machine,
                    "Child Workflow execution timed out",
                    failures.timed_out(),
                    timed_out.retry_state,
                )
            )
        case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED:
            result.failed.failure.CopyFrom(
                _failure(
                    machine,
                    "Child Workflow execution terminated",
                    failures.terminated(),
                    _NO_MORE,
                )
            )
        case _:
            result.CopyFrom(_cancelled(machine))
    return result


def _cancelled(machine: ChildWorkflowMachine) -> ChildWorkflowResult:
    result = ChildWorkflowResult()
    result.cancelled.failure.CopyFrom(
        _failure(
            machine,
            "Child Workflow execution cancelled",
            failures.canceled(),
            _NO_MORE,
        )
    )
    return result


def _failure(
    machine: ChildWorkflowMachine,
    message: str,
    cause: Failure,
    retry_state: RetryState.ValueType,
) -> Failure:
    failure = Failure(message=message, cause=cause)
    info = failure.child_workflow_execution_failure_info
    info.namespace = machine.command.namespace
    info.workflow_execution.workflow_id = machine.command.workflow_id
    info.workflow_execution.run_id = machine.run_id
    info.workflow_type.name = machine.command.workflow_type
    info.initiated_event_id = machine.opened_by
    info.started_event_id = machine.started_event_id
    info.retry_state = retry_state
    return failure
