"""Commands about other workflows that the server refuses, with its causes and texts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dbosify._model import cron
from dbosify._model.policies import wrong_duration, wrong_priority
from dbosify._model.protos import (
    StartChildWorkflowExecution,
    WorkflowTaskFailedCause,
)

from . import validate
from .machines.child_workflow import ChildWorkflowMachine
from .validate import BadCommand

_CHILD = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_CHILD_EXECUTION_ATTRIBUTES  # noqa: E501
_SIGNAL = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES  # noqa: E501
_CANCEL = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES  # noqa: E501

_START_COMMAND = "StartChildWorkflowExecutionCommand"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_FOREIGN = "cross namespace commands are not allowed"


def child(command: StartChildWorkflowExecution, namespace: str) -> None:
    """Check a command that starts a child.

    Raises:
        BadCommand: something is missing, too long, malformed or elsewhere.
    """
    if command.namespace not in ("", namespace):
        raise BadCommand(_CHILD, _FOREIGN)
    where = f"Namespace={command.namespace or namespace}"
    kind = command.workflow_type
    if not command.workflow_id:
        raise BadCommand(
            _CHILD,
            f"Required field WorkflowId is not set on {_START_COMMAND}."
            f" WorkflowType={kind} {where}",
        )
    if not kind:
        raise BadCommand(
            _CHILD,
            f"Required field WorkflowType is not set on {_START_COMMAND}."
            f" WorkflowId={command.workflow_id} {where}",
        )
    names = f"WorkflowId={command.workflow_id} WorkflowType={kind} {where}"
    for what, text in (("WorkflowId", command.workflow_id), ("WorkflowType", kind)):
        validate.text(_CHILD, f"{what} on {_START_COMMAND}", text, where=f" {names}")
    for what, value in (
        ("WorkflowExecutionTimeout", command.workflow_execution_timeout),
        ("WorkflowRunTimeout", command.workflow_run_timeout),
        ("WorkflowTaskTimeout", command.workflow_task_timeout),
    ):
        wrong = wrong_duration(value)
        if wrong:
            raise BadCommand(
                _CHILD, f"Invalid {what} on {_START_COMMAND}: {wrong}. {names}"
            )
    _policies(command, names)


def _policies(command: StartChildWorkflowExecution, names: str) -> None:
    wrong = validate.wrong_policy(command)
    if wrong is not None:
        raise BadCommand(
            _CHILD, f"invalid WorkflowRetryPolicy on {_START_COMMAND}: {wrong}. {names}"
        )
    wrong = wrong_priority(command.priority)
    if wrong:
        raise BadCommand(_CHILD, wrong)
    if command.cron_schedule:
        try:
            cron.ever_fires(command.cron_schedule)
        except cron.BadCron:
            raise BadCommand(
                _CHILD,
                f"invalid CronSchedule on {_START_COMMAND}: invalid CronSchedule.."
                f" {names}",
            ) from None
    wrong = validate.wrong_queue(command.task_queue) if command.task_queue else ""
    if wrong:
        raise BadCommand(
            _CHILD,
            f"invalid TaskQueue on {_START_COMMAND}: {wrong}. {names}"
            f' TaskQueue=name:"{command.task_queue}" kind:TASK_QUEUE_KIND_NORMAL',
        )


def signal(
    workflow_id: str, run_id: str, signal_name: str, namespaces: tuple[str, str]
) -> None:
    """Check a command that signals another workflow.

    Args:
        workflow_id: of the target.
        run_id: of the target, or empty.
        signal_name: what it is signalled.
        namespaces: of the target and of the workflow itself.

    Raises:
        BadCommand: something is missing, too long, malformed or elsewhere.
    """
    command = "SignalExternalWorkflowExecutionCommand"
    theirs, ours = namespaces
    if theirs not in ("", ours):
        raise BadCommand(_SIGNAL, _FOREIGN)
    where = f"Namespace={theirs} RunId={run_id}"
    if not workflow_id:
        raise BadCommand(
            _SIGNAL,
            f"WorkflowId is not set on {command}. {where} SignalName={signal_name}",
        )
    about = f" WorkflowId={workflow_id} {where} SignalName={signal_name}"
    validate.text(_SIGNAL, f"WorkflowId on {command}", workflow_id, where=about)
    if not _is_run_id(run_id):
        raise BadCommand(
            _SIGNAL,
            f"Invalid RunId set on {command}. WorkflowId={workflow_id} {where}"
            f" SignalName={signal_name}",
        )
    if not signal_name:
        raise BadCommand(
            _SIGNAL,
            f"SignalName is not set on {command}. WorkflowId={workflow_id} {where}",
        )
    # Temporal has this limit for a client's request only, and others for all of a task.
    validate.text(_SIGNAL, f"SignalName on {command}", signal_name)


def cancel(
    workflow_id: str,
    run_id: str,
    namespaces: tuple[str, str],
    children: Iterable[ChildWorkflowMachine],
) -> None:
    """Check a command that asks another workflow to end.

    Args:
        workflow_id: of the target.
        run_id: of the target, or empty.
        namespaces: of the target and of the workflow itself.
        children: of the workflow itself.

    Raises:
        BadCommand: something is missing, too long, malformed or elsewhere, or the
            target is a child that the same task starts.
    """
    command = "RequestCancelExternalWorkflowExecutionCommand"
    theirs, ours = namespaces
    if theirs not in ("", ours):
        raise BadCommand(_CANCEL, _FOREIGN)
    where = f"RunId={run_id} Namespace={theirs}"
    if not workflow_id:
        raise BadCommand(
            _CANCEL,
            f"WorkflowId is not set on {command}. Namespace={theirs} RunId={run_id}",
        )
    about = f" WorkflowId={workflow_id} {where}"
    validate.text(_CANCEL, f"WorkflowId on {command}", workflow_id, where=about)
    if not _is_run_id(run_id):
        raise BadCommand(
            _CANCEL,
            f"Invalid RunId set on {command}. WorkflowId={workflow_id} {where}",
        )
    if any(one.unsent and one.command.workflow_id == workflow_id for one in children):
        raise BadCommand(
            _CANCEL,
            "Start and RequestCancel for child workflow is not allowed in same workflow"
            f" task. WorkflowId={workflow_id} {where}",
        )


def _is_run_id(text: str) -> bool:
    return not text or _UUID.fullmatch(text) is not None
