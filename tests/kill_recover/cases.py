"""Which scenario is killed where, and why not elsewhere.

For each scenario every member of :class:`~dbosify._runtime.faults.Point` is either hit,
at the first, second, … time that the process passes it, or is out of the scenario's way
for a reason that stands here. A test counts the points that an undisturbed run passes
and holds both tables against them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dbosify._runtime.faults import Point
from tests.kill_recover.scenarios import (
    SIGNALS,
    TOP,
    UPDATES,
    Calls,
    Chain,
    Dawdles,
    Fragile,
    Heartbeats,
    Hops,
    Local,
    LongLocal,
    LongTimer,
    Meddles,
    Parallel,
    Parent,
    Retried,
    Sequential,
    Signals,
    SpokenFor,
    Stops,
    Timers,
    Updates,
)

OF_NO_RUN = frozenset({Point.BEFORE_FIRE, Point.AFTER_FIRE})
"""Points that a process passes for schedules, which own no run."""

RARE = {
    Point.LOCAL_ACTIVITY_OVER: "the workflow has no local activity",
    Point.BEFORE_DELIVERY: "the workflow has nothing to do with others",
    Point.AFTER_DELIVERY: "the workflow has nothing to do with others",
}
"""Why most scenarios need not say that they never pass these."""

ADOPTED = "the victim starts the run itself, so it neither claims nor reads it"
NO_TIMER = "the workflow has no timer"
NO_HEARTBEAT = "the activities do not heartbeat"
ONLY_LOCAL = "all activities of the workflow are local"
NO_ACTIVITY = "the victim runs no activities"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the victim does when it is killed.

    Attributes:
        name: For the test's id.
        workflow: What it runs.
        result: What must come of it; a sequence if there is more than one way.
        hits: At which passages of a point it is killed.
        never: Why other points are out of its way.
        elsewhere: Where points are hit that it passes as well; empty if there are none.
        options: Of the victim's worker.
        queued: The run reaches the victim through the queue, and so do activities. So
            that no other worker takes them, the rescuer stands still (by SIGSTOP) from
            before the start of the run to the victim's death. Otherwise the victim
            starts the run itself, which makes it the run's owner at once, while the
            rescuer polls all along.
        args: Of the workflow.
        signals: Sent one by one, as soon as the workflow waits for the next.
        updates: Ids of updates that are sent one by one, with their answers.
        attempts: The most that an activity may have been tried.
        start: Options of the start, as `orders.start_options` takes them.
        endings: How the runs of the chain end, if not by continue-as-new until the
            last completes.
        cancelled: Whether it is asked to end, once it waits.
        nexus: Whether it calls the workers' Nexus handlers; it is told by which
            endpoint. A call that its handler did not live to answer is made again when
            its time is over, so that the recovery takes longer.
    """

    name: str
    workflow: type
    result: Sequence[Any]
    hits: Mapping[Point, Sequence[int]]
    never: Mapping[Point, str]
    options: Mapping[str, int | bool] = field(default_factory=dict)
    queued: bool = False
    args: Sequence[Any] = ()
    signals: Sequence[str] = ()
    updates: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 2
    elsewhere: str = ""
    start: Mapping[str, Any] = field(default_factory=dict)
    endings: Sequence[str] = ()
    cancelled: bool = False
    nexus: bool = False

    @property
    def never_passed(self) -> Mapping[Point, str]:
        """Why points are out of its way, those that most never pass included."""
        rare = {point: why for point, why in RARE.items() if point not in self.hits}
        return {**rare, **self.never}


def _turns(count: int, *, closes: int = 1) -> dict[Point, Sequence[int]]:
    """The points that each turn passes."""
    every = range(1, count + 1)
    return {
        Point.BEFORE_TURN: every,
        Point.BEFORE_COMMIT: every,
        Point.AFTER_COMMIT: every,
        Point.AFTER_CLOSE: range(1, closes + 1),
    }


def _activities(count: int) -> dict[Point, Sequence[int]]:
    """The points that each activity passes."""
    every = range(1, count + 1)
    return {Point.AFTER_ACTIVITY_START: every, Point.BEFORE_ACTIVITY_END: every}


_ADOPTED = {Point.AFTER_CLAIM: ADOPTED, Point.AFTER_LOAD: ADOPTED}
_NO_TIMER = {Point.TIMER_FIRED: NO_TIMER}
_NO_HEARTBEAT = {Point.AFTER_HEARTBEAT: NO_HEARTBEAT}
_NO_ACTIVITY = {
    Point.AFTER_ACTIVITY_START: NO_ACTIVITY,
    Point.BEFORE_ACTIVITY_END: NO_ACTIVITY,
    Point.AFTER_HEARTBEAT: NO_ACTIVITY,
}

_NO_QUEUED_ACTIVITY = {
    Point.AFTER_ACTIVITY_START: ONLY_LOCAL,
    Point.BEFORE_ACTIVITY_END: ONLY_LOCAL,
    Point.AFTER_HEARTBEAT: ONLY_LOCAL,
}

SCENARIOS = (
    Scenario(
        "sequential activities",
        Sequential,
        [["first", "second", "third"]],
        hits=_turns(4) | _activities(3),
        never=_ADOPTED | _NO_TIMER | _NO_HEARTBEAT,
    ),
    Scenario(
        "parallel activities",
        Parallel,
        [["before", "a", "b", "c", "after"]],
        # Outcomes that come together share a turn: four turns are the fewest.
        hits=_turns(4) | _activities(5),
        never=_ADOPTED | _NO_TIMER | _NO_HEARTBEAT,
    ),
    Scenario(
        "queued activities",
        Sequential,
        [["first", "second", "third"]],
        hits=_turns(4)
        | _activities(3)
        | {Point.AFTER_CLAIM: [1], Point.AFTER_LOAD: [1]},
        never=_NO_TIMER | _NO_HEARTBEAT,
        options={"disable_eager_activity_execution": True},
        queued=True,
    ),
    Scenario(
        "activities elsewhere",
        Sequential,
        [["first", "second", "third"]],
        hits=_turns(4),
        never=_ADOPTED | _NO_TIMER | _NO_ACTIVITY,
        options={"activities": False},
        attempts=1,
    ),
    Scenario(
        "parked between turns",
        Timers,
        [["before", "after"]],
        hits=_turns(4)
        | _activities(2)
        | {
            Point.AFTER_CLAIM: [1, 2, 3, 4],
            Point.AFTER_LOAD: [1, 2, 3, 4],
            Point.TIMER_FIRED: [1, 2],
        },
        never=_NO_HEARTBEAT,
        options={"max_cached_workflows": 0},
        queued=True,
    ),
    Scenario(
        "timers",
        Timers,
        [["before", "after"]],
        hits=_turns(4) | _activities(2) | {Point.TIMER_FIRED: [1, 2]},
        never=_ADOPTED | _NO_HEARTBEAT,
    ),
    Scenario(
        "long timer",
        LongTimer,
        [["after"]],
        hits={Point.AFTER_COMMIT: [1]},
        never=_ADOPTED | _NO_HEARTBEAT,
        elsewhere="timers",
    ),
    Scenario(
        "signals",
        Signals,
        [["before", *SIGNALS, "after"]],
        hits=_turns(5) | _activities(2),
        never=_ADOPTED | _NO_TIMER | _NO_HEARTBEAT,
        signals=SIGNALS,
    ),
    Scenario(
        "updates",
        Updates,
        [["one", "two"]],
        # The turn that rejects writes nothing into the journal.
        hits={
            Point.BEFORE_TURN: [2, 4, 6],
            Point.BEFORE_COMMIT: range(1, 7),
            Point.AFTER_COMMIT: range(1, 7),
            Point.AFTER_CLOSE: [1],
        },
        never=_ADOPTED | _NO_TIMER | _NO_HEARTBEAT,
        updates=UPDATES,
        elsewhere="signals",
    ),
    Scenario(
        "continue-as-new",
        Chain,
        [["link 0", "link 1", "link 2"]],
        hits=_turns(6, closes=3) | _activities(3),
        never=_ADOPTED | _NO_TIMER | _NO_HEARTBEAT,
        args=[[]],
    ),
    Scenario(
        "workflow retry",
        Retried,
        ["attempt 3"],
        hits=_turns(6, closes=3)
        | _activities(3)
        | {Point.AFTER_CLAIM: [1, 2, 3], Point.AFTER_LOAD: [1, 2, 3]},
        never=_NO_TIMER | _NO_HEARTBEAT,
        queued=True,
        start={"retry_seconds": 0.1},
        endings=["FAILED", "FAILED", "COMPLETED"],
    ),
    Scenario(
        "cron hop",
        Hops,
        [["hop 0", "hop 1"]],
        hits={Point.BEFORE_COMMIT: [2], Point.AFTER_CLOSE: [1, 2]},
        never=_NO_TIMER | _NO_HEARTBEAT,
        queued=True,
        start={"cron_schedule": "@every 1s"},
        endings=["COMPLETED", "CONTINUED_AS_NEW", "COMPLETED"],
        elsewhere="workflow retry",
    ),
    Scenario(
        "run timeout",
        Dawdles,
        ["after all"],
        hits={Point.AFTER_COMMIT: [1]},
        never=_NO_TIMER | _NO_HEARTBEAT,
        queued=True,
        start={"run_seconds": 2, "retry_seconds": 0.1},
        endings=["TIMED_OUT", "COMPLETED"],
        elsewhere="workflow retry",
    ),
    Scenario(
        "at most once",
        Fragile,
        [["first", "second"], ["first lost", "second"], ["first", "second lost"]],
        hits=_turns(3) | _activities(2),
        never=_ADOPTED | _NO_TIMER | _NO_HEARTBEAT,
        attempts=1,
    ),
    Scenario(
        "at most once from the queue",
        Fragile,
        [["first", "second"], ["first lost", "second"], ["first", "second lost"]],
        hits=_activities(2),
        never=_NO_TIMER | _NO_HEARTBEAT,
        options={"disable_eager_activity_execution": True},
        queued=True,
        attempts=1,
        elsewhere="queued activities",
    ),
    Scenario(
        "heartbeats",
        Heartbeats,
        [[start, TOP] for start in range(TOP + 1)],
        hits=_turns(2) | _activities(1) | {Point.AFTER_HEARTBEAT: [1, 2, 3]},
        never=_ADOPTED | _NO_TIMER,
    ),
    Scenario(
        "heartbeats from the queue",
        Heartbeats,
        [[start, TOP] for start in range(TOP + 1)],
        hits={Point.AFTER_HEARTBEAT: [1, 2, 3]},
        never=_NO_TIMER,
        options={"disable_eager_activity_execution": True},
        queued=True,
        elsewhere="queued activities",
    ),
    Scenario(
        "completed from outside",
        SpokenFor,
        [["said for it", "spoke"]],
        hits=_turns(2) | _activities(2),
        never=_ADOPTED | _NO_TIMER | _NO_HEARTBEAT,
    ),
    Scenario(
        "local activities",
        Local,
        [["first", "second", "third"]],
        hits=_turns(2) | {Point.LOCAL_ACTIVITY_OVER: [1, 2, 3], Point.TIMER_FIRED: [1]},
        never=_ADOPTED | _NO_QUEUED_ACTIVITY,
    ),
    Scenario(
        "long local activity",
        LongLocal,
        ["slow"],
        # The first turn is written while the activity still runs.
        hits=_turns(2) | {Point.LOCAL_ACTIVITY_OVER: [1]},
        never=_ADOPTED | _NO_TIMER | _NO_QUEUED_ACTIVITY,
        start={"task_seconds": 1},
    ),
    Scenario(
        "child workflow",
        Parent,
        [["before", "errand", "after"]],
        # Deliveries: the child's start, and its report of its end.
        hits={
            Point.BEFORE_COMMIT: range(1, 7),
            Point.AFTER_COMMIT: range(1, 7),
            Point.BEFORE_DELIVERY: [1, 2],
            Point.AFTER_DELIVERY: [1, 2],
        },
        never=_ADOPTED | _NO_TIMER | _NO_HEARTBEAT,
        elsewhere="sequential activities",
    ),
    Scenario(
        "signal and cancel request to others",
        Meddles,
        [[["word"], ["cancelled"]]],
        # Deliveries: two starts, the signal, the request, and two reports.
        hits={
            Point.AFTER_COMMIT: range(1, 7),
            Point.BEFORE_DELIVERY: range(1, 7),
            Point.AFTER_DELIVERY: range(1, 7),
        },
        never=_ADOPTED | _NO_TIMER | _NO_HEARTBEAT,
        elsewhere="sequential activities",
    ),
    Scenario(
        "cancellation",
        Stops,
        [["before", "cleaned up"]],
        hits=_turns(4) | _activities(2),
        never=_ADOPTED | _NO_TIMER | _NO_HEARTBEAT,
        cancelled=True,
    ),
    Scenario(
        "nexus operations",
        Calls,
        [["hello you", "errand"]],
        # What the caller passes for sure: the rescuer may serve the calls, and run the
        # workflow behind the second.
        hits={
            Point.AFTER_COMMIT: [1, 2, 3],
            Point.BEFORE_DELIVERY: [1, 2],
            Point.AFTER_DELIVERY: [1, 2],
        },
        never=_ADOPTED | _NO_TIMER | _NO_HEARTBEAT,
        nexus=True,
        elsewhere="sequential activities",
    ),
)

CASES = tuple((scenario, point) for scenario in SCENARIOS for point in scenario.hits)
"""All that is killed; the hits of a case are killed side by side."""


SECOND_DEATHS = {
    "as it takes over": (Point.AFTER_CLAIM, Point.AFTER_LOAD),
    "at its first turn": (Point.BEFORE_TURN, Point.BEFORE_COMMIT, Point.AFTER_COMMIT),
    "at its first activity": (Point.AFTER_ACTIVITY_START, Point.BEFORE_ACTIVITY_END),
}
"""Where the one dies that takes over from the first."""


def scenario_named(name: str) -> Scenario:
    """The scenario of a name."""
    (scenario,) = (scenario for scenario in SCENARIOS if scenario.name == name)
    return scenario
