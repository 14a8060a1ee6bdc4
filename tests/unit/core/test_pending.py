"""How much a run may wait for, and what is said if it wants more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dbosify._core import pending
from dbosify._core.families import Family
from dbosify._core.translate import Translator
from dbosify._core.validate import BadCommand
from dbosify._model import limits
from dbosify._model.limits import Limits
from dbosify._model.protos import WorkflowCommand
from tests.unit.core.traces.commands import activity


class Waiting:
    """A machine of any kind."""

    opened_by = 0

    def __init__(self, *, over: bool) -> None:
        self.over = over


def child() -> WorkflowCommand:
    command = WorkflowCommand()
    command.start_child_workflow_execution.seq = 1
    return command


def signal() -> WorkflowCommand:
    command = WorkflowCommand()
    command.signal_external_workflow_execution.seq = 1
    return command


def cancel() -> WorkflowCommand:
    command = WorkflowCommand()
    command.request_cancel_external_workflow_execution.seq = 1
    return command


KINDS: dict[str, tuple[Callable[[], WorkflowCommand], str]] = {
    "activities": (
        lambda: activity(1, "echo"),
        "PendingActivitiesLimitExceeded: the number of pending activities, {}, has"
        " reached the per-workflow limit of 2",
    ),
    "children": (
        child,
        "PendingChildWorkflowsLimitExceeded: the number of pending child workflow"
        " executions, {}, has reached the per-workflow limit of 2",
    ),
    "signals": (
        signal,
        "PendingSignalsLimitExceeded: the number of pending signals to external"
        " workflows, {}, has reached the per-workflow limit of 2",
    ),
    "cancels": (
        cancel,
        "PendingRequestCancelLimitExceeded: the number of pending requests to cancel"
        " external workflows, {}, has reached the per-workflow limit of 2",
    ),
}


def waiting_for(kind: str, *, open_ones: int, over: int = 0) -> Translator:
    """A run that waits for things of a kind; some are over since a moment ago."""
    known = Translator()
    family: Family[Any] = getattr(known if kind == "activities" else known.others, kind)
    for seq in range(open_ones + over):
        family.add(seq, Waiting(over=seq >= open_ones))
    return known


@pytest.fixture(autouse=True)
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of each kind may be pending."""
    low = Limits(
        pending_activities=2, pending_children=2, pending_signals=2, pending_cancels=2
    )
    monkeypatch.setattr(limits, "current", low)


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_as_the_limit_says_may_be_pending(kind: str) -> None:
    command, _ = KINDS[kind]
    pending.check([command()], waiting_for(kind, open_ones=2))
    pending.check([command()], waiting_for(kind, open_ones=2, over=3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("open_ones", "new", "told"), [(3, 1, 2), (3, 3, 2), (7, 2, 5)]
)
def test_one_more_is_refused(kind: str, open_ones: int, new: int, told: int) -> None:
    command, text = KINDS[kind]
    with pytest.raises(BadCommand) as refused:
        pending.check(
            [command() for _ in range(new)], waiting_for(kind, open_ones=open_ones)
        )
    assert str(refused.value) == text.format(told)


@pytest.mark.parametrize("kind", KINDS)
def test_those_that_are_pending_may_stay_when_the_limit_is_lowered(kind: str) -> None:
    pending.check([], waiting_for(kind, open_ones=7))
