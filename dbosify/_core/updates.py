"""The updates that a run's code works on, by the names that its answers use.

Live they come as messages with a workflow task; on replay the events of their
acceptance bring them back, each with the task in which it was accepted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    UpdateRequest,
    UpdateResponse,
)

from .commands import Output
from .fsm import FatalMachineError
from .machines.update import UpdateMachine


@dataclass(frozen=True, slots=True)
class Delivery:
    """An update on its way to the code."""

    request: UpdateRequest
    instance_id: str


def live(requests: Iterable[UpdateRequest]) -> list[Delivery]:
    """Updates that were sent, oldest first."""
    return [Delivery(request, request.meta.update_id) for request in requests]


def recorded(commands: Iterable[HistoryEvent]) -> list[Delivery]:
    """The updates that a task of the journal accepted."""
    accepted = [
        event.workflow_execution_update_accepted_event_attributes
        for event in commands
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    ]
    return [Delivery(a.accepted_request, a.protocol_instance_id) for a in accepted]


class Updates:
    """See the module's text."""

    def __init__(self) -> None:
        self._machines: dict[str, UpdateMachine] = {}

    def deliver(
        self,
        deliveries: Iterable[Delivery],
        *,
        sequencing_event_id: int,
        run_validator: bool,
        out: Output,
    ) -> None:
        """Show updates to the code."""
        for delivery in deliveries:
            machine = UpdateMachine(
                delivery.request, delivery.instance_id, sequencing_event_id
            )
            self._machines[delivery.instance_id] = machine
            out.jobs.append(machine.job(run_validator=run_validator))

    def answer(self, response: UpdateResponse, out: Output) -> None:
        """Take the code's answer to one of them.

        Raises:
            FatalMachineError: there is no such update.
            Nondeterminism: it cannot be answered so now.
        """
        machine = self._machines.get(response.protocol_instance_id)
        if machine is None:
            raise FatalMachineError(
                "Missing associated machine for protocol message"
                f" {response.protocol_instance_id}"
            )
        machine.answer(response, out)

    def end_task(self, out: Output) -> None:
        """A workflow task ends: forget those that are over, answered or not."""
        for machine in list(self._machines.values()):
            machine.task_over(out)
            if machine.over:
                del self._machines[machine.instance_id]
