"""The database's time, told from what it answered and how long that took."""

from __future__ import annotations

import time

import pytest

from dbosify._runtime.clock import DatabaseClock

SECOND = 1_000_000_000
BEGIN = 1_700_000_000 * SECOND


class Machine:
    """A machine whose time stands still unless told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = BEGIN
        monkeypatch.setattr(time, "time_ns", lambda: self.now)

    def ask(self, clock: DatabaseClock, ahead_ms: float, there: int, back: int) -> None:
        """Ask a database whose clock is ahead; so many ms each way."""
        asked = self.now
        told = asked + round((there + ahead_ms) * 1e6)
        self.now += (there + back) * 1_000_000
        clock.adjust(told // 1000, asked)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def ahead_ms(clock: DatabaseClock, machine: Machine) -> float:
    """How far the clock is ahead of the machine's."""
    return (clock.nanoseconds() - machine.now) / 1e6


def test_the_first_answer_is_taken_to_be_of_half_way(machine: Machine) -> None:
    clock = DatabaseClock()
    machine.ask(clock, 500, there=30, back=10)
    assert ahead_ms(clock, machine) == 510


def test_a_slow_answer_that_agrees_changes_nothing(machine: Machine) -> None:
    clock = DatabaseClock()
    machine.ask(clock, 500, there=1, back=1)
    machine.ask(clock, 500, there=90, back=0)
    assert ahead_ms(clock, machine) == 500


def test_a_quick_answer_corrects_a_poor_one(machine: Machine) -> None:
    clock = DatabaseClock()
    machine.ask(clock, 500, there=0, back=80)
    assert ahead_ms(clock, machine) == 460
    machine.ask(clock, 500, there=1, back=1)
    assert ahead_ms(clock, machine) == 500


def test_an_answer_from_another_time_is_believed(machine: Machine) -> None:
    clock = DatabaseClock()
    machine.ask(clock, 0, there=1, back=1)
    machine.ask(clock, 3_600_000, there=1, back=1)
    assert ahead_ms(clock, machine) == 3_600_000


def test_time_stands_still_rather_than_running_backwards(machine: Machine) -> None:
    clock = DatabaseClock()
    machine.ask(clock, 1000, there=1, back=1)
    shown = clock.nanoseconds()
    machine.ask(clock, 0, there=1, back=1)
    assert clock.nanoseconds() == shown
    machine.now += 2 * SECOND
    assert clock.nanoseconds() > shown
