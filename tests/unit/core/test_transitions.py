"""Every row of every machine's table is taken by something that a test holds to."""

from __future__ import annotations

import enum
from collections.abc import Callable

import pytest

from dbosify._core import fsm
from dbosify._core.fsm import Machine
from dbosify._core.machines.activity import ActivityMachine
from dbosify._core.machines.announcement import Announcement
from dbosify._core.machines.attempt import AttemptMachine
from dbosify._core.machines.cancel_external import CancelExternalMachine
from dbosify._core.machines.child_workflow import ChildWorkflowMachine
from dbosify._core.machines.local_activity import LocalActivityMachine
from dbosify._core.machines.local_attempt import LocalAttemptMachine
from dbosify._core.machines.nexus_call import NexusCallMachine
from dbosify._core.machines.nexus_operation import NexusOperationMachine
from dbosify._core.machines.patch import ChangeVersionMachine, PatchMachine
from dbosify._core.machines.signal_external import SignalExternalMachine
from dbosify._core.machines.timer import TimerMachine
from dbosify._core.machines.update import UpdateMachine
from dbosify._model.protos import Failure
from tests.unit.core.attempts import Attempts
from tests.unit.core.local_attempts import LocalAttempts
from tests.unit.core.nexus_calls import Calls, begins, complies, error, returns
from tests.unit.core.spelling import BEGAN
from tests.unit.core.traces.every import TRACES
from tests.unit.core.traces.script import Player

DRIVEN = (
    ActivityMachine,
    Announcement,
    CancelExternalMachine,
    ChangeVersionMachine,
    ChildWorkflowMachine,
    LocalActivityMachine,
    NexusOperationMachine,
    PatchMachine,
    SignalExternalMachine,
    TimerMachine,
    UpdateMachine,
)
"""Machines of the driver: the traces lead them."""

Taken = set[tuple[str, enum.Enum, enum.Enum]]


def rows(machine: type[Machine]) -> Taken:
    """The rows of a machine's table."""
    return {
        (machine.__name__, state, event)
        for state, events in machine.table.items()
        for event in events
    }


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Taken:
    """The transitions that the test takes."""
    noted: Taken = set()
    monkeypatch.setattr(fsm, "taken", noted)
    return noted


def test_no_machine_is_left_out() -> None:
    assert {*DRIVEN, AttemptMachine, LocalAttemptMachine, NexusCallMachine} == {
        machine
        for machine in Machine.__subclasses__()
        if machine.__module__.startswith("dbosify.")
    }


@pytest.mark.parametrize("machine", DRIVEN)
def test_the_traces_take_every_row(machine: type[Machine], taken: Taken) -> None:
    for trace in TRACES:
        Player(trace).play()
        Player(trace, restarting=True).play()
    assert rows(machine) - taken == set()


@pytest.mark.parametrize(
    "machine",
    [*DRIVEN, AttemptMachine, LocalAttemptMachine, NexusCallMachine],
    ids=lambda machine: machine.__name__,
)
def test_every_state_has_its_rows(machine: type[Machine]) -> None:
    states = {type(state) for state in machine.table}
    assert len(states) == 1
    assert set(machine.table) == set(*states)


WAYS: tuple[Callable[[], object], ...] = (
    lambda: Attempts().asked_to_end(1),
    lambda: Attempts(to_start=1).runs_out(),
    lambda: Attempts().begin(0).beats(1).asked_to_end(2).raises(3, Failure()),
    lambda: Attempts().begin(0).machine.complete(BEGAN + 1, None, "w"),
    lambda: Attempts().begin(0).machine.canceled(BEGAN + 1, None, "w"),
    lambda: Attempts(attempts=1).begin(0).runs_out(),
    lambda: Attempts().begin(0).loses_worker(1).runs_out(),
    lambda: Attempts().begin(0).raises(1, Failure()).asked_to_end(1.5),
)
"""The ways of an activity's attempts."""


def test_the_ways_of_attempts_take_every_row(taken: Taken) -> None:
    for way in WAYS:
        way()
    assert rows(AttemptMachine) - taken == set()


LOCAL_WAYS: tuple[Callable[[], object], ...] = (
    lambda: LocalAttempts().asked_to_end(),
    lambda: LocalAttempts(to_start=1).runs_out(),
    lambda: LocalAttempts().begin(0).asked_to_end().reports_its_end(1),
    lambda: LocalAttempts().begin(0).returns(1),
    lambda: LocalAttempts().begin(0).runs_out(),
    lambda: LocalAttempts().begin(0).raises(1).runs_out(),
    lambda: LocalAttempts().begin(0).raises(1).asked_to_end(),
)
"""The ways of a local activity's attempts."""


def test_the_ways_of_local_attempts_take_every_row(taken: Taken) -> None:
    for way in LOCAL_WAYS:
        way()
    assert rows(LocalAttemptMachine) - taken == set()


NEXUS_WAYS: tuple[Callable[[], object], ...] = (
    lambda: Calls().answered(1, error("INTERNAL")).answered(3, returns(1)),
    lambda: Calls().asked_to_cancel(1).answered(2, begins()).answered(3, complies()),
    lambda: Calls().answered(1, begins()).asked_to_cancel(2).answered(3, error("x")),
    lambda: Calls().answered(1, begins()).reported(2, None),
)
"""The ways of the calls of a Nexus handler."""


def test_the_ways_of_nexus_calls_take_every_row(taken: Taken) -> None:
    for way in NEXUS_WAYS:
        way()
    assert rows(NexusCallMachine) - taken == set()
