"""The driver, held to what Temporal's core was seen to do."""

from __future__ import annotations

import pytest

from tests.unit.core.traces.every import TRACES
from tests.unit.core.traces.script import Player, Trace, rebuilt

every_trace = pytest.mark.parametrize(
    "trace", [pytest.param(trace, id=trace.name) for trace in TRACES]
)


@every_trace
def test_a_live_run_goes_as_temporals(trace: Trace) -> None:
    Player(trace).play()


@every_trace
def test_a_rebuilt_run_sees_the_same_again(trace: Trace) -> None:
    played = Player(trace).play()
    rebuilt(played.journal, played.tasks)


@every_trace
def test_a_run_that_is_rebuilt_after_every_task_goes_on_the_same(trace: Trace) -> None:
    undisturbed = Player(trace).play()
    restarted = Player(trace, restarting=True).play()
    assert restarted.journal == undisturbed.journal
    assert restarted.turns == undisturbed.turns
