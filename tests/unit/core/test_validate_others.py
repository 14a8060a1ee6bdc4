"""Commands about other workflows that the server refuses, with its causes and texts."""

from __future__ import annotations

import pytest

from dbosify._model.effects import TaskFailed, Turn
from dbosify._model.protos import (
    Priority,
    RetryPolicy,
    WorkflowActivation,
    WorkflowCommand,
)
from tests.unit.core.spelling import at, beginning, driver_of, span
from tests.unit.core.traces.commands import completion
from tests.unit.core.traces.others_said import cancel_other, child, signal_other

CHILD = "BadStartChildExecutionAttributes"
SIGNAL = "BadSignalWorkflowExecutionAttributes"
CANCEL = "BadRequestCancelExternalWorkflowExecutionAttributes"
START_COMMAND = "StartChildWorkflowExecutionCommand"
SIGNAL_COMMAND = "SignalExternalWorkflowExecutionCommand"
CANCEL_COMMAND = "RequestCancelExternalWorkflowExecutionCommand"
WHICH = "WorkflowId=orders/1-c WorkflowType=Child Namespace=default"
LONG = "x" * 1001


def outcome(*commands: WorkflowCommand) -> object:
    """What a first task with these commands comes to."""
    driver = driver_of(beginning())
    shown = driver.begin([], now=at(1), next_run_id="", request_id="")
    assert isinstance(shown, WorkflowActivation)
    return driver.complete(completion(commands))


def to_other(command: WorkflowCommand, **target: str) -> WorkflowCommand:
    """A command whose target is changed."""
    variant = command.WhichOneof("variant") or ""
    for name, value in target.items():
        setattr(getattr(command, variant).workflow_execution, name, value)
    return command


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (
            child(1, namespace="elsewhere"),
            f"{CHILD}: cross namespace commands are not allowed",
        ),
        (
            child(1, workflow_id=""),
            f"{CHILD}: Required field WorkflowId is not set on {START_COMMAND}."
            " WorkflowType=Child Namespace=default",
        ),
        (
            child(1, workflow_type=""),
            f"{CHILD}: Required field WorkflowType is not set on {START_COMMAND}."
            " WorkflowId=orders/1-c Namespace=default",
        ),
        (
            child(1, workflow_id=LONG),
            f"{CHILD}: WorkflowId on {START_COMMAND} exceeds length limit."
            f" WorkflowId={LONG} WorkflowType=Child Namespace=default"
            " Length=1001 Limit=1000",
        ),
        (
            child(1, workflow_type="a\0b"),
            f"{CHILD}: WorkflowType on {START_COMMAND}: a NUL character cannot be"
            " stored",
        ),
        (
            child(1, workflow_run_timeout=span(-1)),
            f"{CHILD}: Invalid WorkflowRunTimeout on {START_COMMAND}: negative"
            f" duration. {WHICH}",
        ),
        (
            child(1, retry_policy=RetryPolicy(backoff_coefficient=0.5)),
            f"{CHILD}: invalid WorkflowRetryPolicy on {START_COMMAND}:"
            " BackoffCoefficient cannot be less than 1 on retry policy.."
            f" {WHICH}",
        ),
        (
            child(1, priority=Priority(priority_key=-1)),
            f"{CHILD}: priority key can't be negative",
        ),
        (
            child(1, cron_schedule="now and then"),
            f"{CHILD}: invalid CronSchedule on {START_COMMAND}: invalid CronSchedule.."
            f" {WHICH}",
        ),
        (
            child(1, task_queue="/_sys/x"),
            f"{CHILD}: invalid TaskQueue on {START_COMMAND}: task queue name cannot"
            f" start with reserved prefix /_sys/. {WHICH}"
            ' TaskQueue=name:"/_sys/x" kind:TASK_QUEUE_KIND_NORMAL',
        ),
        (
            to_other(signal_other(1, "s"), namespace="elsewhere"),
            f"{SIGNAL}: cross namespace commands are not allowed",
        ),
        (
            to_other(signal_other(1, "s"), workflow_id=""),
            f"{SIGNAL}: WorkflowId is not set on {SIGNAL_COMMAND}. Namespace=default"
            " RunId= SignalName=s",
        ),
        (
            to_other(signal_other(1, "s"), run_id="no"),
            f"{SIGNAL}: Invalid RunId set on {SIGNAL_COMMAND}. WorkflowId=other"
            " Namespace=default RunId=no SignalName=s",
        ),
        (
            signal_other(1, ""),
            f"{SIGNAL}: SignalName is not set on {SIGNAL_COMMAND}. WorkflowId=other"
            " Namespace=default RunId=",
        ),
        (
            signal_other(1, "a\0b"),
            f"{SIGNAL}: SignalName on {SIGNAL_COMMAND}: a NUL character cannot be"
            " stored",
        ),
        (
            to_other(cancel_other(1), namespace="elsewhere"),
            f"{CANCEL}: cross namespace commands are not allowed",
        ),
        (
            to_other(cancel_other(1), workflow_id=""),
            f"{CANCEL}: WorkflowId is not set on {CANCEL_COMMAND}."
            " Namespace=default RunId=",
        ),
        (
            to_other(cancel_other(1), run_id="no"),
            f"{CANCEL}: Invalid RunId set on {CANCEL_COMMAND}. WorkflowId=other"
            " RunId=no Namespace=default",
        ),
    ],
)
def test_a_bad_command_fails_the_task(command: WorkflowCommand, text: str) -> None:
    failed = outcome(command)
    assert isinstance(failed, TaskFailed)
    assert failed.failure.message == text


def test_a_child_is_not_started_and_asked_to_end_in_one_task() -> None:
    failed = outcome(child(1), to_other(cancel_other(1), workflow_id="orders/1-c"))
    assert isinstance(failed, TaskFailed)
    assert failed.failure.message == (
        f"{CANCEL}: Start and RequestCancel for child workflow is not allowed in same"
        " workflow task. WorkflowId=orders/1-c RunId= Namespace=default"
    )


def test_a_command_that_says_all_is_taken() -> None:
    run_id = "11111111-1111-1111-1111-111111111111"
    assert isinstance(
        outcome(
            child(
                1,
                cron_schedule="@every 1h",
                retry_policy=RetryPolicy(maximum_attempts=3),
            ),
            to_other(signal_other(1, "s"), run_id=run_id),
            to_other(cancel_other(1), run_id=run_id),
        ),
        Turn,
    )
