"""How much a run may wait for at a time.

As with sizes, only what a task reports now is counted: a journal in which more is
pending, written under other limits, is replayed as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dbosify._model import limits
from dbosify._model.protos import WorkflowCommand, WorkflowTaskFailedCause

from .families import Family
from .translate import Translator
from .validate import BadCommand

_CAUSE = WorkflowTaskFailedCause


def check(commands: Sequence[WorkflowCommand], known: Translator) -> None:
    """Count what a run waits for, once a task's commands have become machines.

    Raises:
        BadCommand: of some kind it is more than a run may wait for.
    """
    most, others = limits.current, known.others
    if len(known.activities) > most.pending_activities:
        new = sum(c.HasField("schedule_activity") for c in commands)
        _count(
            known.activities,
            new,
            most.pending_activities,
            _CAUSE.WORKFLOW_TASK_FAILED_CAUSE_PENDING_ACTIVITIES_LIMIT_EXCEEDED,
            "activities",
        )
    if len(others.children) > most.pending_children:
        new = sum(c.HasField("start_child_workflow_execution") for c in commands)
        _count(
            others.children,
            new,
            most.pending_children,
            _CAUSE.WORKFLOW_TASK_FAILED_CAUSE_PENDING_CHILD_WORKFLOWS_LIMIT_EXCEEDED,
            "child workflow executions",
        )
    if len(others.signals) > most.pending_signals:
        new = sum(c.HasField("signal_external_workflow_execution") for c in commands)
        _count(
            others.signals,
            new,
            most.pending_signals,
            _CAUSE.WORKFLOW_TASK_FAILED_CAUSE_PENDING_SIGNALS_LIMIT_EXCEEDED,
            "signals to external workflows",
        )
    if len(others.cancels) > most.pending_cancels:
        new = sum(
            c.HasField("request_cancel_external_workflow_execution") for c in commands
        )
        _count(
            others.cancels,
            new,
            most.pending_cancels,
            _CAUSE.WORKFLOW_TASK_FAILED_CAUSE_PENDING_REQUEST_CANCEL_LIMIT_EXCEEDED,
            "requests to cancel external workflows",
        )


def _count(
    family: Family[Any],
    new: int,
    limit: int,
    cause: WorkflowTaskFailedCause.ValueType,
    what: str,
) -> None:
    pending = sum(not machine.over for machine in family.values())
    if new and pending > limit:
        before = max(pending - new, limit)
        raise BadCommand(
            cause,
            f"the number of pending {what}, {before}, has reached the per-workflow"
            f" limit of {limit}",
        )
