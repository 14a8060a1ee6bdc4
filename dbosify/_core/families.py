"""The machines of one kind in a run, and how events find the machine they are about.

The SDK numbers the things of a kind in the order it asks for them; history knows them
by the event that opened them.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from dbosify._model.protos import HistoryEvent

from .commands import Output, Recorder
from .fsm import Nondeterminism


class Ending(Protocol):
    """A machine that comes to an end."""

    @property
    def over(self) -> bool:
        """Whether nothing can happen to it any more."""


class Answered(Recorder, Ending, Protocol):
    """A machine that later events are about, besides those of its own commands."""

    opened_by: int
    """The number of the event its first command became; later events carry it."""

    def on_event(self, event: HistoryEvent, out: Output) -> None:
        """Take an event about it.

        Raises:
            Nondeterminism: the event names something else.
        """


M = TypeVar("M", bound=Ending)


class Family(dict[int, M]):
    """Machines of a kind by the SDK's numbers.

    Args:
        title: how Temporal's texts call the kind.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title
        self._last = 0

    def add(self, seq: int, machine: M) -> M:
        """Keep a machine under the number that the SDK gave it."""
        self[seq] = machine
        self._last = max(self._last, seq)
        return machine

    def asked(self, seq: int) -> M | None:
        """The machine that a later command names; None if it is over.

        Raises:
            Nondeterminism: there never was one.
        """
        machine = self.get(seq)
        if machine is None and seq > self._last:
            raise Nondeterminism(f"Missing associated machine for {self.title}({seq})")
        return machine

    def forget_finished(self) -> list[M]:
        """Drop the machines that nothing can happen to any more, and return them."""
        return [self.pop(seq) for seq in [s for s, m in self.items() if m.over]]


_OPENERS = ("initiated_event_id", "scheduled_event_id", "started_event_id")


def opened_by(event: HistoryEvent) -> int:
    """The number of the event that opened what `event` is about; 0 if none did."""
    attributes = getattr(event, event.WhichOneof("attributes") or "", None)
    for name in _OPENERS:
        number = int(getattr(attributes, name, 0))
        if number:
            return number
    return 0
