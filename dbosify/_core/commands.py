"""Commands on their way to becoming events, and what machines may ask for.

Within a workflow task commands queue up in the order the workflow gave them. When the
task ends, each becomes an event (live) or is compared with the event that it became
back then (replay); either way its machine is told of the event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from google.protobuf.message import Message

from dbosify._model.effects import Close, Effect
from dbosify._model.local import LocalOrder
from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    Timestamp,
    UserMetadata,
    WorkflowActivationJob,
)

from .fsm import Nondeterminism


class Recorder(Protocol):
    """The part of a machine that learns which event its command became."""

    @property
    def title(self) -> str:
        """How Temporal's nondeterminism texts call it."""

    @property
    def opens(self) -> EventType.ValueType | None:
        """The event of its first command, if later events are about it."""

    def recorded(self, command: Command, event: HistoryEvent, out: Output) -> None:
        """The command now stands in history as `event`."""

    def check(self, command: Command, event: HistoryEvent) -> None:
        """Compare the command with the event it became when first run.

        Raises:
            Nondeterminism: they name different things.
        """


@dataclass(slots=True, eq=False)
class Command:
    """A command of the current task."""

    event_type: EventType.ValueType
    attributes_field: str
    """The field of `HistoryEvent` that takes `attributes`."""
    attributes: Message
    machine: Recorder
    metadata: UserMetadata | None = None
    terminal: bool = False
    dropped: bool = False
    """Cancelled in the task that gave it: neither sent nor expected in history."""
    close: Close | None = None


@dataclass(slots=True)
class Output:
    """Where machines put what follows from a transition."""

    jobs: list[WorkflowActivationJob] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    local: list[LocalOrder] = field(default_factory=list)
    times: list[Timestamp] = field(default_factory=list)
    """Moments that the workflow's clock has reached."""


def describe(event: HistoryEvent) -> str:
    """An event as Temporal's nondeterminism texts show it."""
    name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
    camel = "".join(word.capitalize() for word in name.split("_"))
    return f"HistoryEvent(id: {event.event_id}, {camel})"


def match(command: Command, event: HistoryEvent) -> None:
    """Check that `command` may have become `event`.

    Raises:
        Nondeterminism: the kinds, ids or types differ.
    """
    if command.event_type != event.event_type:
        title = command.machine.title
        # Core calls two kinds by the name of their type, and words it differently then.
        refuses = (
            "does not handle"
            if title.endswith("Machine")
            else "machine does not handle this event:"
        )
        raise Nondeterminism(f"{title} {refuses} {describe(event)}")
    command.machine.check(command, event)
