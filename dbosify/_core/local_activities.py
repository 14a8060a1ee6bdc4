"""The local activities of a run, and the place of each outcome among its activations.

Live, an outcome is shown as soon as the workflow's code waits. Its marker says which
activation of its workflow task that was, so that a replay shows the same outcomes
together, in the same order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from dbosify._model import clock
from dbosify._model.local import LocalOutcome
from dbosify._model.protos import (
    HistoryEvent,
    ScheduleLocalActivity,
    Timestamp,
    UserMetadata,
)

from .commands import Output
from .families import Family
from .fsm import FatalMachineError, Nondeterminism
from .local_marker import Marker, is_marker, parse
from .machines.local_activity import LocalActivityMachine

_CLOSE_TIMEOUTS = ("schedule_to_close_timeout", "start_to_close_timeout")


class LocalActivities:
    """See the module's text."""

    def __init__(self) -> None:
        self.time = Timestamp()
        """The workflow's."""
        self.now = Timestamp()
        """The database's; nobody needs it on replay."""
        self.replaying = False
        self._machines: Family[LocalActivityMachine] = Family("LocalActivity")
        self._markers: deque[Marker] = deque()
        """Found ahead in the history of the task that is replayed."""
        self._shown = 0
        """Activations of the task."""

    @property
    def pending(self) -> bool:
        """Whether the workflow task has to wait for any."""
        return any(machine.pending for machine in self._machines.values())

    def begin_task(self, commands: Iterable[HistoryEvent]) -> None:
        """A workflow task begins.

        Args:
            commands: on replay, the events that its commands became.
        """
        self._shown = 0
        self._markers = deque(parse(event) for event in commands if is_marker(event))

    def shown(self) -> None:
        """The workflow is shown one more activation."""
        self._shown += 1

    def schedule(
        self, command: ScheduleLocalActivity, metadata: UserMetadata | None
    ) -> None:
        """Take the workflow's wish for one.

        Raises:
            FatalMachineError: it has no timeout.
        """
        _check(command)
        machine = LocalActivityMachine(command, metadata, self.time)
        self._machines.add(command.seq, machine)

    def cancel(self, seq: int, out: Output) -> None:
        """Take the workflow's wish to cancel one.

        Raises:
            Nondeterminism: there never was one.
        """
        machine = self._machines.asked(seq)
        if machine is not None:
            machine.cancel(self.now, self._shown, out, replaying=self.replaying)

    def go_on(self, out: Output) -> None:
        """The code waits: run what it asked for, or show what history has of it."""
        if self.replaying:
            self._remember(out)
            return
        for machine in self._machines.values():
            machine.start(self.now, self._shown, out)

    def end(self, seq: int, outcome: LocalOutcome, out: Output) -> None:
        """One is over, though perhaps nobody cares any more."""
        machine = self._machines.get(seq)
        if machine is not None:
            machine.end(outcome, self._shown, out)

    def on_marker(self, event: HistoryEvent) -> bool:
        """Match a replayed task's event with the activity that it ends.

        Returns:
            Whether it was the marker of one.

        Raises:
            Nondeterminism: the code did not ask for that activity.
        """
        if not is_marker(event):
            return False
        marker = parse(event)
        machine = self._machines.get(marker.seq)
        if machine is None:
            raise Nondeterminism(
                f"Missing associated machine for LocalActivity({marker.seq})"
            )
        machine.on_marker(marker)
        return True

    def end_task(self) -> None:
        """A workflow task ends: forget those that are over."""
        self._machines.forget_finished()

    def _remember(self, out: Output) -> None:
        self._resolve_marked(out, and_later=False)
        if not out.jobs:
            # There will be no later activation: the code is not what it was. As in
            # core, that is found out when commands and events are compared.
            self._resolve_marked(out, and_later=True)

    def _resolve_marked(self, out: Output, *, and_later: bool) -> None:
        while self._markers:
            marker = self._markers[0]
            machine = self._machines.get(marker.seq)
            later = marker.shown_in is not None and marker.shown_in > self._shown
            if machine is None or (later and not and_later):
                return
            self._markers.popleft()
            machine.remember(marker, out)


def _check(command: ScheduleLocalActivity) -> None:
    invalid = f"Invalid schedule local activity request (seq {command.seq}): "
    set_fields = {field.name for field, _ in command.ListFields()}
    if set_fields.isdisjoint(_CLOSE_TIMEOUTS):
        raise FatalMachineError(
            f"{invalid}One or both of schedule_to_close or start_to_close timeouts must"
            " be set for local activities"
        )
    for name in (*_CLOSE_TIMEOUTS, "schedule_to_start_timeout"):
        if clock.seconds(getattr(command, name)) < 0:
            raise FatalMachineError(f"{invalid}Could not convert {name}")
