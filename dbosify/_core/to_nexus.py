"""From the SDK's commands about Nexus operations to machines and queued commands."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.history.v1 import NexusOperationScheduledEventAttributes

from dbosify._model import clock, nexus
from dbosify._model.protos import (
    ScheduleNexusOperation,
    UserMetadata,
    WorkflowCommand,
    WorkflowTaskFailedCause,
)

from .chain import Chain
from .commands import Output
from .families import Family
from .machines.nexus_operation import NexusOperationMachine
from .validate import BadCommand

_CAUSE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_NEXUS_OPERATION_ATTRIBUTES  # noqa: E501


class Operations:
    """The Nexus operations of a run."""

    def __init__(self) -> None:
        self.family: Family[NexusOperationMachine] = Family("NexusOperation")
        self.endpoints: Mapping[str, str] | None = None
        """Ids of the endpoints that there are, by name; None while history says."""

    def schedule(self, source: WorkflowCommand, chain: Chain, out: Output) -> None:
        """Ask for an operation."""
        wanted = source.schedule_nexus_operation
        self._check(wanted)
        attributes = NexusOperationScheduledEventAttributes(
            endpoint=wanted.endpoint,
            endpoint_id=(self.endpoints or {}).get(wanted.endpoint, ""),
            service=wanted.service,
            operation=wanted.operation,
            input=wanted.input if wanted.HasField("input") else None,
            nexus_header=wanted.nexus_header,
            request_id=nexus.request_id(chain.run_id, wanted.seq),
        )
        for name in _TIMEOUTS:
            if clock.seconds(getattr(wanted, name)):
                getattr(attributes, name).CopyFrom(getattr(wanted, name))
        metadata: UserMetadata | None = None
        if source.HasField("user_metadata"):
            metadata = source.user_metadata
        machine = self.family.add(wanted.seq, NexusOperationMachine(wanted))
        out.commands.append(machine.schedule(attributes, metadata))

    def cancel(self, source: WorkflowCommand, chain: Chain, out: Output) -> None:
        """Cancel an operation, as its cancellation type says."""
        machine = self.family.asked(source.request_cancel_nexus_operation.seq)
        if machine is not None:
            machine.cancel(out)

    def _check(self, wanted: ScheduleNexusOperation) -> None:
        if self.endpoints is not None and wanted.endpoint not in self.endpoints:
            raise BadCommand(_CAUSE, f'endpoint "{wanted.endpoint}" not found')
        for name in _TIMEOUTS:
            if clock.seconds(getattr(wanted, name)) < 0:
                words = "".join(word.capitalize() for word in name.split("_"))
                raise BadCommand(_CAUSE, f"{words} is invalid: negative duration")


_TIMEOUTS = (
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "start_to_close_timeout",
)
