"""The table of a state machine, and what happens beside it."""

from __future__ import annotations

import enum
from typing import ClassVar

import pytest

from dbosify._core import fsm
from dbosify._core.fsm import FatalMachineError, Machine, Nondeterminism, Table, To


class State(enum.Enum):
    """Of a door."""

    SHUT = enum.auto()
    OPEN = enum.auto()


class Input(enum.Enum):
    """To a door."""

    PUSH = enum.auto()
    LOOK = enum.auto()


class Door(Machine):
    """Opens once."""

    def __init__(self) -> None:
        super().__init__(State.SHUT)
        self.seen: list[tuple[enum.Enum, str]] = []

    def _on_push(self, who: str) -> None:
        self.seen.append((self.state, who))

    table: ClassVar[Table] = {
        State.SHUT: {
            Input.PUSH: To(State.OPEN, _on_push),
            Input.LOOK: To(State.SHUT),
        },
        State.OPEN: {},
    }


def test_a_transition_is_taken_and_then_handled() -> None:
    door = Door()
    door.fire(Input.PUSH, "me")
    assert door.state is State.OPEN
    assert door.seen == [(State.OPEN, "me")]


def test_a_transition_needs_no_handler() -> None:
    door = Door()
    door.fire(Input.LOOK, "me")
    assert (door.state, door.seen) == (State.SHUT, [])


def test_a_pair_that_the_table_lacks_is_fatal_and_changes_nothing() -> None:
    door = Door()
    door.fire(Input.PUSH, "me")
    with pytest.raises(FatalMachineError) as raised:
        door.fire(Input.PUSH, "me")
    assert str(raised.value) == (
        "Fatal error in workflow machines: Door in state OPEN says the transition is"
        " invalid during PUSH"
    )
    assert door.state is State.OPEN


def test_transitions_are_noted_while_somebody_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: set[tuple[str, enum.Enum, enum.Enum]] = set()
    monkeypatch.setattr(fsm, "taken", taken)
    door = Door()
    door.fire(Input.LOOK, "me")
    door.fire(Input.PUSH, "me")
    assert taken == {("Door", State.SHUT, Input.LOOK), ("Door", State.SHUT, Input.PUSH)}


def test_nondeterminism_carries_the_prefix_that_users_search_for() -> None:
    assert str(Nondeterminism("why")) == "[TMPRL1100] Nondeterminism error: why"
