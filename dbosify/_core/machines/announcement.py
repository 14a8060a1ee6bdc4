"""Commands that become one event and are never answered.

Complete, fail, cancel, continue-as-new, search-attribute upsert and memo change all
have the same two states; what differs is only the event and how Temporal's
nondeterminism text calls them, so they are rows here and not files of their own.
"""

from __future__ import annotations

import enum
from typing import ClassVar

from dbosify._core.commands import Command, Output
from dbosify._core.fsm import Machine, Table, To
from dbosify._model.effects import Effect
from dbosify._model.protos import HistoryEvent


class State(enum.Enum):
    """Whether the command stands in history yet."""

    CREATED = enum.auto()
    RECORDED = enum.auto()


class Input(enum.Enum):
    """The only thing that can happen."""

    RECORDED = enum.auto()


class Announcement(Machine):
    """One such command.

    Args:
        title: how the nondeterminism text calls it.
        effect: what follows once it is recorded, if anything.
    """

    __slots__ = ("effect", "title")

    def __init__(self, title: str, effect: Effect | None = None) -> None:
        super().__init__(State.CREATED)
        self.title = title
        self.effect = effect

    def check(self, command: Command, event: HistoryEvent) -> None:
        """See `Recorder.check`; contents are not compared, as in Temporal."""

    def recorded(self, command: Command, event: HistoryEvent, out: Output) -> None:
        """See `Recorder.recorded`."""
        self.fire(Input.RECORDED, out)

    def _on_recorded(self, out: Output) -> None:
        if self.effect is not None:
            out.effects.append(self.effect)

    table: ClassVar[Table] = {
        State.CREATED: {Input.RECORDED: To(State.RECORDED, _on_recorded)},
        State.RECORDED: {},
    }
