"""Replays with other code where the change is about another workflow."""

from __future__ import annotations

import pytest

from dbosify._core.outcomes import Outcome, Replayed
from dbosify._model.effects import TaskFailed, Turn
from dbosify._model.protos import HistoryEvent, WorkflowCommand
from tests.unit.core.traces.commands import activity
from tests.unit.core.traces.nexus_said import cancel_operation, operation
from tests.unit.core.traces.others_said import (
    cancel_child,
    cancel_other,
    cancel_signal,
    child,
    signal_child,
    signal_other,
)
from tests.unit.core.traces.script import Does, Given, Player, Sees, Trace, replay

PREFIX = "[TMPRL1100] Nondeterminism error: "


def recorded(*commands: WorkflowCommand) -> list[HistoryEvent]:
    """A journal with one workflow task, which ended in these commands."""
    player = Player(Trace("recorded", history=""))
    for step in (Given(), Sees(3, "init"), Does(*commands)):
        player.take(step)
    assert isinstance(player.outcome, Turn)
    return [*player.journal, *player.outcome.events]


def text(outcome: Outcome) -> str:
    """Why a replay was given up."""
    assert isinstance(outcome, TaskFailed), outcome
    assert outcome.failure.message.startswith(PREFIX)
    return outcome.failure.message.removeprefix(PREFIX)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (
            child(1, workflow_id="b"),
            "Child workflow id of scheduled event 'orders/1-c' does not match child"
            " workflow id of command 'b'",
        ),
        (
            child(1, workflow_type="C2"),
            "Child workflow type of scheduled event 'Child' does not match child"
            " workflow type of command 'C2'",
        ),
        (
            activity(1),
            "Activity machine does not handle this event: HistoryEvent(id: 5,"
            " StartChildWorkflowExecutionInitiated)",
        ),
        (cancel_child(2), "Missing associated machine for ChildWorkflowStart(2)"),
        (cancel_signal(2), "Missing associated machine for SignalExternal(2)"),
    ],
)
def test_another_child_or_none_is_nondeterminism(
    changed: WorkflowCommand, why: str
) -> None:
    _, outcome = replay(recorded(child(1)), Does(changed))
    assert text(outcome) == why


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (child(1, "a"), child(1, "b", parent_close_policy=2)),
        (signal_other(1, "s"), signal_child(1, "t", "more")),
        (cancel_other(1), cancel_other(1, "why")),
    ],
)
def test_what_else_is_said_to_others_may_change(
    then: WorkflowCommand, now: WorkflowCommand
) -> None:
    _, outcome = replay(recorded(then), Does(now))
    assert outcome == Replayed()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (
            operation(1, service="Other"),
            "Nexus operation service of scheduled event 'Svc' does not match service"
            " of command 'Other'",
        ),
        (
            operation(1, operation="bye"),
            "Nexus operation of scheduled event 'hello' does not match operation of"
            " command 'bye'",
        ),
        (cancel_operation(2), "Missing associated machine for NexusOperation(2)"),
    ],
)
def test_another_nexus_operation_or_none_is_nondeterminism(
    changed: WorkflowCommand, why: str
) -> None:
    _, outcome = replay(recorded(operation(1)), Does(changed))
    assert text(outcome) == why
