"""The commands of a workflow task, from the code's wish to the events they become.

Live they become events in the order they were given, and the one that closes the run
moves behind all others. On replay the same order is compared with the events that are
there, as Temporal's core compares it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from dbosify._model.protos import HistoryEvent

from .commands import Command, describe, match
from .fsm import Nondeterminism
from .machines import patch


class Outgoing:
    """See the module's text."""

    def __init__(self) -> None:
        self._commands: deque[Command] = deque()

    @property
    def closes(self) -> bool:
        """Whether one of them closes the run."""
        return any(command.terminal for command in self._commands)

    def extend(self, commands: Iterable[Command]) -> None:
        """More of them were given."""
        self._commands.extend(commands)

    def take_all(self) -> list[Command]:
        """All that are to become events now, in their order."""
        taken = []
        while (command := self._next()) is not None:
            taken.append(command)
        return taken

    def matched(
        self, events: Iterable[HistoryEvent]
    ) -> Iterator[tuple[Command, HistoryEvent]]:
        """Each event with the command that it was.

        Raises:
            Nondeterminism: the commands are not those that the events were.
        """
        left = deque(events)
        while left:
            event = left.popleft()
            if self._skip_marker(event, left):
                continue
            command = self._next()
            if command is None:
                raise Nondeterminism(
                    f"No command scheduled for event {describe(event)}"
                )
            match(command, event)
            yield command, event

    def _skip_marker(self, event: HistoryEvent, rest: deque[HistoryEvent]) -> bool:
        """Whether the event is a patch marker that the code no longer asks for."""
        marker = patch.patch_of(event)
        if marker is None:
            return False
        patch_id, deprecated = marker
        head = self._head()
        asked = head.machine if head is not None else None
        if isinstance(asked, patch.PatchMachine) and (
            asked.patch_id == patch_id or not deprecated
        ):
            return False
        if not deprecated:
            raise patch.missing_command(patch_id)
        if rest and patch.is_change_version(rest[0]):
            rest.popleft()
        return True

    def _head(self) -> Command | None:
        """The next command as core orders them: the first closing one comes last."""
        while self._commands and self._commands[0].dropped:
            self._commands.popleft()
        closing = None
        for command in self._commands:
            if command.dropped:
                continue
            if not command.terminal:
                return command
            closing = closing or command
        return closing

    def _next(self) -> Command | None:
        command = self._head()
        if command is None or command.terminal:
            self._commands.clear()
        else:
            self._commands.remove(command)
        return command
