"""What a workflow may say in one command, and what is done if it says more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dbosify._core import sizes
from dbosify._model import limits
from dbosify._model.protos import WorkflowCommand
from tests.unit.core.spelling import boom, payload
from tests.unit.core.traces.commands import (
    accept,
    activity,
    answer,
    complete,
    continue_as_new,
    fail,
    finish,
    memo,
    timer,
    upsert,
)

BIG = "x" * limits.current.blob_bytes
NEARLY_BIG = "x" * (limits.current.blob_bytes // 2)


def nexus(value: object) -> WorkflowCommand:
    command = WorkflowCommand()
    command.schedule_nexus_operation.input.CopyFrom(payload(value))
    return command


def child(value: object) -> WorkflowCommand:
    command = WorkflowCommand()
    command.start_child_workflow_execution.input.append(payload(value))
    return command


def signal(value: object) -> WorkflowCommand:
    command = WorkflowCommand()
    command.signal_external_workflow_execution.args.append(payload(value))
    return command


def local(value: object) -> WorkflowCommand:
    command = WorkflowCommand()
    command.schedule_local_activity.arguments.append(payload(value))
    return command


def child_memo(value: object) -> WorkflowCommand:
    command = WorkflowCommand()
    command.start_child_workflow_execution.memo["m"].CopyFrom(payload(value))
    return command


def next_memo(value: object) -> WorkflowCommand:
    command = WorkflowCommand()
    command.continue_as_new_workflow_execution.memo["m"].CopyFrom(payload(value))
    return command


def headed(value: object) -> WorkflowCommand:
    """Half of it is a header, which is not measured."""
    command = activity(1, "echo", value)
    command.schedule_activity.headers["h"].CopyFrom(payload(value))
    return command


@pytest.mark.parametrize(
    "command",
    [
        complete,
        lambda value: activity(1, "echo", value),
        continue_as_new,
        child,
        signal,
        nexus,
        lambda value: fail(boom(value)),
        lambda value: memo(m=value),
        lambda value: upsert(a=value),
        lambda value: finish("u", value),
    ],
)
def test_payloads_may_not_be_bigger_than_a_blob(
    command: Callable[[str], WorkflowCommand],
) -> None:
    sizes.check([command(NEARLY_BIG)])
    with pytest.raises(sizes.TooBig) as refused:
        sizes.check([timer(1, 1), command(BIG)])
    assert str(refused.value) == (
        "[TMPRL1103] Attempted to upload payloads with size that exceeded the error"
        " limit."
    )
    failure = refused.value.failure()
    assert failure.message == str(refused.value)
    assert failure.application_failure_info.type == "PayloadsTooLarge"
    assert not failure.application_failure_info.non_retryable


@pytest.mark.parametrize("command", [child_memo, next_memo])
def test_a_memo_may_not_be_bigger_than_a_blob(
    command: Callable[[str], WorkflowCommand],
) -> None:
    sizes.check([command(NEARLY_BIG)])
    with pytest.raises(sizes.TooBig, match="upload memo with"):
        sizes.check([command(BIG)])


def test_what_stays_in_the_worker_has_no_limit() -> None:
    sizes.check([local(BIG), answer("q", BIG), accept("u")])


def test_headers_are_not_measured() -> None:
    sizes.check([headed("x" * (limits.current.blob_bytes * 3 // 4))])


@pytest.mark.parametrize("command", [child_memo, next_memo])
def test_a_memo_that_comes_with_other_big_things_may_be_as_big_as_any(
    command: Callable[[str], WorkflowCommand],
) -> None:
    wanted = command("x" * (limits.current.memo_bytes * 3 // 4))
    attributes = getattr(wanted, wanted.WhichOneof("variant") or "")
    attributes.headers["h"].CopyFrom(payload(NEARLY_BIG))
    sizes.check([wanted])
