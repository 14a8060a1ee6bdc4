"""The one shape of a state machine: a table from state and input to state and handler.

Everything that affects a machine's transitions lives in its table. A pair that the
table lacks is nondeterminism while history is being replayed, because then the input
comes from recorded events; with live input it is a bug of ours.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from dbosify._model.protos import EventType


class Nondeterminism(Exception):
    """The workflow's commands and its history disagree.

    The text carries Temporal's prefix, which users search for.
    """

    def __init__(self, text: str) -> None:
        super().__init__(f"[TMPRL1100] Nondeterminism error: {text}")


class FatalMachineError(Exception):
    """The SDK or the journal did something that no history allows."""

    def __init__(self, text: str) -> None:
        super().__init__(f"Fatal error in workflow machines: {text}")


@dataclass(frozen=True, slots=True)
class To:
    """A row of a table: the next state and what to do on the way there."""

    state: enum.Enum
    handler: Callable[..., None] | None = None


Table: TypeAlias = Mapping[enum.Enum, Mapping[enum.Enum, To]]

taken: set[tuple[str, enum.Enum, enum.Enum]] | None = None
"""Transitions taken, while a test records them; `None` otherwise."""


class Machine:
    """A state and the table that says what may happen to it."""

    table: ClassVar[Table]
    opens: ClassVar[EventType.ValueType | None] = None
    """The event of its first command, if later events are about it."""

    __slots__ = ("state",)

    def __init__(self, state: enum.Enum) -> None:
        self.state = state

    def fire(self, event: enum.Enum, *args: Any) -> None:
        """Take the transition for `event`.

        Raises:
            FatalMachineError: the table has no row for the pair.
        """
        to = self.table[self.state].get(event)
        if to is None:
            name = type(self).__name__
            raise FatalMachineError(
                f"{name} in state {self.state.name} says the transition is invalid"
                f" during {event.name}"
            )
        if taken is not None:
            taken.add((type(self).__name__, self.state, event))
        self.state = to.state
        if to.handler is not None:
            to.handler(self, *args)
