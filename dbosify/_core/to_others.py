"""From the SDK's commands about other workflows to machines and queued commands."""

from __future__ import annotations

from temporalio.api.history.v1 import (
    RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
    SignalExternalWorkflowExecutionInitiatedEventAttributes,
)

from dbosify._model.protos import (
    SignalExternalWorkflowExecution,
    UserMetadata,
    WorkflowCommand,
    WorkflowExecution,
)

from . import child_start, validate_others
from .chain import Chain
from .commands import Output
from .families import Family
from .fsm import FatalMachineError
from .machines.cancel_external import CancelExternalMachine
from .machines.child_workflow import ChildWorkflowMachine
from .machines.signal_external import SignalExternalMachine


class Others:
    """The machines of a run that are about other workflows."""

    def __init__(self) -> None:
        self.children: Family[ChildWorkflowMachine] = Family("ChildWorkflowStart")
        self.signals: Family[SignalExternalMachine] = Family("SignalExternal")
        self.cancels: Family[CancelExternalMachine] = Family("CancelExternal")
        self._own_cancels = 0

    def start_child(self, source: WorkflowCommand, chain: Chain, out: Output) -> None:
        """Start a child workflow."""
        wanted = source.start_child_workflow_execution
        validate_others.child(wanted, chain.namespace)
        attributes = child_start.initiated(wanted, chain)
        machine = ChildWorkflowMachine(wanted, child_start.started(attributes, chain))
        self.children.add(wanted.seq, machine)
        metadata: UserMetadata | None = None
        if source.HasField("user_metadata"):
            metadata = source.user_metadata
        out.commands.append(machine.start(attributes, metadata))

    def cancel_child(self, source: WorkflowCommand, chain: Chain, out: Output) -> None:
        """Cancel a child, as its cancellation type says."""
        wanted = source.cancel_child_workflow_execution
        child = self.children.asked(wanted.child_workflow_seq)
        if child is None or not child.cancel(wanted.reason, out):
            return
        # Core's own command: numbered apart, since the SDK does not know of it.
        self._own_cancels -= 1
        machine = self.cancels.add(self._own_cancels, CancelExternalMachine(None))
        target = WorkflowExecution(workflow_id=child.command.workflow_id)
        attributes = _cancel(target, child.command.namespace, wanted.reason)
        attributes.child_workflow_only = True
        out.commands.append(machine.send(attributes))

    def signal(self, source: WorkflowCommand, chain: Chain, out: Output) -> None:
        """Signal another workflow, or a child."""
        wanted = source.signal_external_workflow_execution
        attributes = _signal(wanted, chain)
        target = attributes.workflow_execution
        validate_others.signal(
            target.workflow_id,
            target.run_id,
            wanted.signal_name,
            (attributes.namespace, chain.namespace),
        )
        machine = self.signals.add(wanted.seq, SignalExternalMachine(wanted.seq))
        out.commands.append(machine.send(attributes))

    def cancel_signal(self, source: WorkflowCommand, chain: Chain, out: Output) -> None:
        """Take a signal back, if it is not sent yet."""
        signal = self.signals.asked(source.cancel_signal_workflow.seq)
        if signal is not None:
            signal.cancel(out)

    def cancel(self, source: WorkflowCommand, chain: Chain, out: Output) -> None:
        """Ask another workflow to end."""
        wanted = source.request_cancel_external_workflow_execution
        if not wanted.HasField("workflow_execution"):
            raise FatalMachineError(
                "Cancel external workflow command had no workflow_execution field"
            )
        named = wanted.workflow_execution
        target = WorkflowExecution(workflow_id=named.workflow_id, run_id=named.run_id)
        validate_others.cancel(
            target.workflow_id,
            target.run_id,
            (named.namespace, chain.namespace),
            self.children.values(),
        )
        reason = (
            f"Cancel requested by workflow with run id {chain.run_id} with reason:"
            f" {wanted.reason}"
        )
        machine = self.cancels.add(wanted.seq, CancelExternalMachine(wanted.seq))
        out.commands.append(machine.send(_cancel(target, named.namespace, reason)))


def _cancel(
    target: WorkflowExecution, namespace: str, reason: str
) -> RequestCancelExternalWorkflowExecutionInitiatedEventAttributes:
    return RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(
        namespace=namespace, workflow_execution=target, reason=reason
    )


def _signal(
    wanted: SignalExternalWorkflowExecution, chain: Chain
) -> SignalExternalWorkflowExecutionInitiatedEventAttributes:
    result = SignalExternalWorkflowExecutionInitiatedEventAttributes(
        signal_name=wanted.signal_name
    )
    match wanted.WhichOneof("target"):
        case "child_workflow_id":
            result.namespace = chain.namespace
            result.workflow_execution.workflow_id = wanted.child_workflow_id
            result.child_workflow_only = True
        case "workflow_execution":
            named = wanted.workflow_execution
            result.namespace = named.namespace
            result.workflow_execution.workflow_id = named.workflow_id
            result.workflow_execution.run_id = named.run_id
        case _:
            raise FatalMachineError(
                "Signal external workflow command had empty target field"
            )
    for key, value in wanted.headers.items():
        result.header.fields[key].CopyFrom(value)
    if wanted.args:
        result.input.payloads.extend(wanted.args)
    return result
