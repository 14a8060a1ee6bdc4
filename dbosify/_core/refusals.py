"""What a workflow task comes to that core or the server would refuse."""

from __future__ import annotations

from dbosify._model.effects import TaskFailed
from dbosify._model.protos import (
    EvictionReason,
    Failure,
    HistoryEvent,
    WorkflowTaskFailedCause,
)

from .commands import describe
from .fsm import FatalMachineError, Nondeterminism
from .validate import BadCommand

REFUSALS = (Nondeterminism, FatalMachineError, BadCommand)
"""What machines and checks raise."""

_CAUSE = WorkflowTaskFailedCause


def without_command(event: HistoryEvent) -> Nondeterminism:
    """An event about something that the code never asked for."""
    return Nondeterminism(
        "During event handling, this event had an initial command ID but we could not"
        f" find a matching command for it: {describe(event)}"
    )


def task_failed(error: Nondeterminism | FatalMachineError | BadCommand) -> TaskFailed:
    """The failed task that a refusal makes."""
    if isinstance(error, BadCommand):
        return TaskFailed(
            error.cause,
            error.failure(),
            EvictionReason.FATAL,
            "Error reporting WFT to server",
        )
    if isinstance(error, Nondeterminism):
        cause = _CAUSE.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
        reason = EvictionReason.NONDETERMINISM
    else:
        cause = _CAUSE.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
        reason = EvictionReason.FATAL
    failure = Failure(message=str(error))
    failure.application_failure_info.SetInParent()
    return TaskFailed(
        cause, failure, reason, f"Workflow activation completion failed: {error}"
    )
