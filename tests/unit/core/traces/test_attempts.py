"""Recorded activities of several attempts: both halves, the server's and the run's.

The attempts are played first, on the machine that stands for Temporal's server; what it
leaves for the history becomes the news of a run, whose workflow must see what was
recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from dbosify._model.activity import AttemptState
from tests.unit.core.attempts import Attempts
from tests.unit.core.spelling import BEGAN, boom, payloads
from tests.unit.core.traces import showing
from tests.unit.core.traces.commands import activity, complete
from tests.unit.core.traces.script import Does, Given, Player, Sees, Then, Trace

Act = Callable[[Attempts], object]


def begins(moment: float) -> Act:
    """A worker takes the attempt."""
    return lambda tried: tried.begin(moment)


def beats(moment: float, *details: object) -> Act:
    """The attempt shows that it is alive."""
    return lambda tried: tried.beats(moment, payloads(*details))


def raises(moment: float, message: str, kind: str = "") -> Act:
    """The attempt fails."""
    return lambda tried: tried.raises(moment, boom(message, kind=kind))


def returns(moment: float, value: object) -> Act:
    """The attempt returns, or somebody else completes it."""
    return lambda tried: tried.machine.complete(
        BEGAN + moment, payloads(value), "worker@here"
    )


def falls_silent() -> Act:
    """Its deadline comes."""
    return lambda tried: tried.runs_out()


@dataclass
class Recorded:
    """An activity from its first attempt to its end.

    Attributes:
        name: of the recording.
        acts: what happens to it, and how it looks from outside after that.
        sees: the workflow in the end; nothing if the recording ends before.
        options: timeouts and policy.
    """

    name: str
    acts: list[tuple[Act, str]]
    sees: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def pending(tried: Attempts) -> str:
    """What describe would tell of it."""
    progress = tried.machine.progress
    words = [tried.state.name.lower()]
    if tried.state is not AttemptState.OVER:
        words.append(str(progress.attempt))
        if progress.heartbeat is not None:
            words += [showing.text(each) for each in progress.heartbeat.payloads]
        if progress.last_failure is not None:
            words.append(f"after {showing.failure(progress.last_failure)}")
    return " ".join(words)


RECORDED = (
    Recorded(
        "activity_retry",
        [
            (begins(0), "started 1"),
            (raises(0.1, "boom1", "Boom"), "backoff 2 after Boom 'boom1'"),
            (begins(1.1), "started 2 after Boom 'boom1'"),
            (raises(1.2, "boom2", "Boom"), "backoff 3 after Boom 'boom2'"),
            (begins(3.2), "started 3 after Boom 'boom2'"),
            (returns(3.3, 3), "over"),
        ],
        "activity 1 completed 3",
    ),
    Recorded(
        "act_async_completion",
        # That it will be completed from outside changes nothing: it goes on running.
        [(begins(0), "started 1"), (returns(2, "from outside"), "over")],
        'activity 1 completed "from outside"',
        {"attempts": 1},
    ),
    Recorded(
        "act_heartbeat_details_on_retry",
        [
            (begins(0), "started 1"),
            (beats(0.1, "p0"), 'started 1 "p0"'),
            (beats(0.3, "p3"), 'started 1 "p3"'),
            (raises(0.4, "retry me"), "backoff 2 \"p3\" after error 'retry me'"),
            (begins(1.4), "started 2 \"p3\" after error 'retry me'"),
            (returns(1.5, "attempt 2 hb=['p3']"), "over"),
        ],
        "activity 1 completed \"attempt 2 hb=['p3']\"",
        {"heartbeat": 5, "attempts": 2, "run": 20},
    ),
    Recorded(
        "act_heartbeat_timeout",
        [
            (begins(0), "started 1"),
            (beats(0.1, "x"), 'started 1 "x"'),
            (
                falls_silent(),
                "backoff 2 \"x\" after HEARTBEAT 'activity Heartbeat timeout'"
                " of Server",
            ),
            (
                begins(2.1),
                "started 2 \"x\" after HEARTBEAT 'activity Heartbeat timeout'"
                " of Server",
            ),
            (returns(2.2, "second"), "over"),
        ],
        'activity 1 completed "second"',
        {"heartbeat": 1, "attempts": 2, "run": 30},
    ),
    Recorded(
        "act_graceful_shutdown",
        [
            (begins(0), "started 1"),
            (beats(0.1, "l"), 'started 1 "l"'),
            (
                raises(
                    1.1,
                    "Worker is shutting down and this activity did not complete in"
                    " time",
                    "WorkerShutdown",
                ),
                'backoff 2 "l" after WorkerShutdown \'Worker is shutting down and'
                " this activity did not complete in time'",
            ),
        ],
        options={"heartbeat": 5, "attempts": 3, "run": 30},
    ),
    Recorded(
        "act_shutdown_ignored",
        [(begins(0), "started 1"), (returns(2, "finished in shutdown"), "over")],
        'activity 1 completed "finished in shutdown"',
        {"attempts": 3, "run": 30},
    ),
)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.name)
def test_an_activity_goes_as_temporals_from_attempt_to_attempt(
    recorded: Recorded,
) -> None:
    tried = Attempts(**recorded.options)
    looks = []
    for act, _ in recorded.acts:
        act(tried)
        looks.append(pending(tried))
    assert looks == [look for _, look in recorded.acts]
    assert (tried.state is AttemptState.OVER) == bool(recorded.sees)
    if not recorded.sees:
        return
    Player(
        Trace(
            recorded.name,
            Given(),
            Sees(3, "init"),
            Does(activity(1)),
            Then("activity 5"),
            Given(tried.closing),
            Sees(9, recorded.sees),
            Does(complete()),
            Then(closed="COMPLETED"),
            history="RunStarted Task ActivityScheduled ActivityStarted"
            " ActivityCompleted Task RunCompleted",
        ),
        restarting=True,
    ).play()
