"""An update: delivered as a job, accepted or rejected, and completed if accepted.

It reaches the workflow as a message and not as an event; only what the workflow makes
of it stands in history. A rejected update leaves no trace at all, so nothing here
remembers one beyond the task that rejected it.
"""

from __future__ import annotations

import enum
from typing import ClassVar

from google.protobuf.empty_pb2 import Empty
from temporalio.api.history.v1 import (
    WorkflowExecutionUpdateAcceptedEventAttributes,
    WorkflowExecutionUpdateCompletedEventAttributes,
)

from dbosify._core.commands import Command, Output
from dbosify._core.fsm import FatalMachineError, Machine, Nondeterminism, Table, To
from dbosify._model import failures
from dbosify._model.effects import AcceptUpdate, CompleteUpdate, RejectUpdate
from dbosify._model.protos import (
    EventType,
    Failure,
    HistoryEvent,
    Payload,
    UpdateRequest,
    UpdateResponse,
    WorkflowActivationJob,
)

_ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED


class State(enum.Enum):
    """How far the workflow got with it, in the names that core's texts use."""

    DELIVERED = "RequestInitiated"
    ACCEPTED = "Accepted"
    COMPLETED = "Completed"
    REJECTED = "Rejected"


class Input(enum.Enum):
    """The workflow's answers, and the end of the task that brought the update."""

    ACCEPT = enum.auto()
    COMPLETE = enum.auto()
    REJECT = enum.auto()
    TASK_OVER = enum.auto()


class UpdateMachine(Machine):
    """One update of a run.

    Args:
        request: what was sent.
        instance_id: how the workflow's answers name it; the server takes its id.
        sequencing_event_id: the last event that was there before it.
    """

    title: ClassVar[str] = "Update"
    __slots__ = (
        "_completed",
        "_rejection",
        "instance_id",
        "request",
        "sequencing_event_id",
    )

    def __init__(
        self, request: UpdateRequest, instance_id: str, sequencing_event_id: int
    ) -> None:
        super().__init__(State.DELIVERED)
        self.request = request
        self.instance_id = instance_id
        self.sequencing_event_id = sequencing_event_id
        self._completed = WorkflowExecutionUpdateCompletedEventAttributes(
            meta=request.meta
        )
        self._rejection = failures.unprocessed_update()

    @property
    def update_id(self) -> str:
        """By which its sender knows it."""
        return self.request.meta.update_id

    @property
    def over(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.state in (State.COMPLETED, State.REJECTED)

    def job(self, *, run_validator: bool) -> WorkflowActivationJob:
        """What shows it to the workflow."""
        job = WorkflowActivationJob()
        shown = job.do_update
        shown.id = self.update_id
        shown.protocol_instance_id = self.instance_id
        shown.name = self.request.input.name
        shown.input.extend(self.request.input.args.payloads)
        for key, value in self.request.input.header.fields.items():
            shown.headers[key].CopyFrom(value)
        shown.meta.CopyFrom(self.request.meta)
        shown.run_validator = run_validator
        return job

    def answer(self, response: UpdateResponse, out: Output) -> None:
        """Take the workflow's answer.

        Raises:
            Nondeterminism: an answer that cannot come now.
            FatalMachineError: an empty answer.
        """
        match response.WhichOneof("response"):
            case "accepted":
                self._fire(Input.ACCEPT, response.accepted, out)
            case "completed":
                self._fire(Input.COMPLETE, response.completed, out)
            case "rejected":
                self._fire(Input.REJECT, response.rejected, out)
            case _:
                raise FatalMachineError(
                    f"Update response for update {self.update_id} had an empty result,"
                    " this is a lang layer bug."
                )

    def task_over(self, out: Output) -> None:
        """The workflow task ends; one that was not answered is not to be any more."""
        self.fire(Input.TASK_OVER, out)

    def check(self, command: Command, event: HistoryEvent) -> None:
        """See `Recorder.check`.

        Raises:
            Nondeterminism: history has another update's answer here.
        """
        accepted = event.workflow_execution_update_accepted_event_attributes
        completed = event.workflow_execution_update_completed_event_attributes
        recorded = accepted.protocol_instance_id or completed.meta.update_id
        if recorded not in (self.instance_id, self.update_id):
            raise Nondeterminism(
                f"Update id {recorded} does not match expected id {self.update_id}"
            )

    def recorded(self, command: Command, event: HistoryEvent, out: Output) -> None:
        """See `Recorder.recorded`."""
        if event.event_type == _ACCEPTED:
            # The answer of the same task becomes an event only after this one.
            self._completed.accepted_event_id = event.event_id
            if not event.links:
                event.links.extend(self.request.links)
            out.effects.append(AcceptUpdate(self.update_id))
        else:
            calls_back = len(self.request.completion_callbacks) > 0
            outcome = self._completed.outcome
            out.effects.append(CompleteUpdate(self.update_id, outcome, calls_back))

    def _fire(
        self, answer: Input, content: Empty | Payload | Failure, out: Output
    ) -> None:
        if answer not in self.table[self.state]:
            raise Nondeterminism(
                "Invalid transition while handling update response (id"
                f" {self.update_id}) in state {self.state.value}"
            )
        self.fire(answer, content, out)

    def _on_accept(self, _: Empty, out: Output) -> None:
        accepted = WorkflowExecutionUpdateAcceptedEventAttributes(
            protocol_instance_id=self.instance_id,
            accepted_request_message_id=f"{self.update_id}/request",
            accepted_request_sequencing_event_id=self.sequencing_event_id,
            accepted_request=self.request,
        )
        out.commands.append(
            Command(
                _ACCEPTED,
                "workflow_execution_update_accepted_event_attributes",
                accepted,
                self,
            )
        )

    def _on_complete(self, result: Payload, out: Output) -> None:
        self._completed.outcome.success.payloads.append(result)
        self._complete(out)

    def _on_fail(self, failure: Failure, out: Output) -> None:
        self._completed.outcome.failure.CopyFrom(failure)
        self._complete(out)

    def _complete(self, out: Output) -> None:
        out.commands.append(
            Command(
                _COMPLETED,
                "workflow_execution_update_completed_event_attributes",
                self._completed,
                self,
            )
        )

    def _on_reject(self, failure: Failure, _: Output) -> None:
        # Nobody hears of it before the task is over: it may fail yet.
        self._rejection = failure

    def _on_unwanted(self, out: Output) -> None:
        out.effects.append(RejectUpdate(self.update_id, self._rejection))

    table: ClassVar[Table] = {
        State.DELIVERED: {
            Input.ACCEPT: To(State.ACCEPTED, _on_accept),
            Input.REJECT: To(State.REJECTED, _on_reject),
            Input.TASK_OVER: To(State.REJECTED, _on_unwanted),
        },
        State.ACCEPTED: {
            Input.COMPLETE: To(State.COMPLETED, _on_complete),
            Input.REJECT: To(State.COMPLETED, _on_fail),
            Input.TASK_OVER: To(State.ACCEPTED),
        },
        State.COMPLETED: {Input.TASK_OVER: To(State.COMPLETED)},
        State.REJECTED: {Input.TASK_OVER: To(State.REJECTED, _on_unwanted)},
    }
