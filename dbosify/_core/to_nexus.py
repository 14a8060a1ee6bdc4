"""From the SDK's commands about Nexus operations to machines and queued commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from temporalio.api.history.v1 import NexusOperationScheduledEventAttributes

from dbosify._model import clock, limits, nexus
from dbosify._model.policies import wrong_duration
from dbosify._model.protos import (
    ScheduleNexusOperation,
    UserMetadata,
    WorkflowCommand,
    WorkflowTaskFailedCause,
)
from dbosify._model.registered import Registered

from . import validate
from .chain import Chain
from .commands import Output
from .families import Family
from .machines.nexus_operation import NexusOperationMachine
from .validate import BadCommand

_COMMAND = "ScheduleNexusOperationCommandAttributes"
_CAUSE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_NEXUS_OPERATION_ATTRIBUTES  # noqa: E501


class Operations:
    """The Nexus operations of a run."""

    def __init__(self) -> None:
        self.family: Family[NexusOperationMachine] = Family("NexusOperation")

    def schedule(self, source: WorkflowCommand, chain: Chain, out: Output) -> None:
        """Ask for an operation."""
        wanted = source.schedule_nexus_operation
        _check(wanted, chain.registered)
        attributes = NexusOperationScheduledEventAttributes(
            endpoint=wanted.endpoint,
            endpoint_id=_endpoints(chain.registered).get(wanted.endpoint, ""),
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


def endpoints_named(commands: Iterable[WorkflowCommand]) -> set[str]:
    """The Nexus endpoints that commands call."""
    return {
        command.schedule_nexus_operation.endpoint
        for command in commands
        if command.HasField("schedule_nexus_operation")
    }


def _endpoints(registered: Registered | None) -> Mapping[str, str]:
    return {} if registered is None else registered.endpoints


def _check(wanted: ScheduleNexusOperation, registered: Registered | None) -> None:
    if registered is not None and wanted.endpoint not in registered.endpoints:
        raise BadCommand(_CAUSE, f'endpoint "{wanted.endpoint}" not found')
    for name in ("service", "operation"):
        _check_name(f"{_COMMAND}.{name.capitalize()}", getattr(wanted, name))
    for name in _TIMEOUTS:
        wrong = wrong_duration(getattr(wanted, name))
        if wrong:
            words = "".join(word.capitalize() for word in name.split("_"))
            raise BadCommand(_CAUSE, f"{_COMMAND}.{words} is invalid: {wrong}")


def _check_name(what: str, name: str) -> None:
    most = limits.current.id_bytes
    if len(name.encode()) > most:
        raise BadCommand(_CAUSE, f"{what} exceeds length limit of {most}")
    if "\0" in name:
        raise BadCommand(_CAUSE, validate.no_nul(what))


_TIMEOUTS = (
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "start_to_close_timeout",
)
